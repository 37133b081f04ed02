"""What holds of coupons and discounts, whatever is charged and whenever it falls due."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from billing.catalog.terms.values import DiscountTerms
from billing.cycles import BillingCalendar, Cadence
from billing.invoicing.coupons import Counted, discounts_on
from billing.invoicing.rated import Rated
from billing.invoicing.terms import ChargeTerms, ContractTerms
from billing.periods import Period
from billing.pricing import parse_price

START, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 5, 1, tzinfo=UTC)
CALENDAR = BillingCalendar(Cadence.parse("P1M"), START, "UTC")
MONTHS = [cycle.period for cycle in CALENDAR.cycles(END)]
CENTS = st.integers(0, 10**6).map(lambda cents: Decimal(cents) / 100)
SIGNED = st.integers(-(10**5), 10**6).map(lambda cents: Decimal(cents) / 100)


def charge(place: int) -> ChargeTerms:
    price = parse_price({"model": "per_unit", "unit_amount": "1", "currency": "USD"})
    return ChargeTerms(place, place, f"Charge {place}", place, False, price, code=f"c{place}", plan=f"p{place % 2}")


def contract(*discounts: DiscountTerms) -> ContractTerms:
    return ContractTerms(1, 1, 1, "USD", "day", CALENDAR, Period(START, None), (), (), discounts)


@st.composite
def lines(draw: st.DrawFn, amounts: st.SearchStrategy[Decimal] = CENTS) -> list[Counted]:
    found = []
    for place, month, days, amount in draw(
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 28), amounts), max_size=12)
    ):
        cycle = MONTHS[month]
        due = cycle.start + timedelta(days=days)
        of = None if place == 0 else charge(place)
        found.append(Counted((1, place), due, cycle, cycle, of, f"Charge {place}", amount))
    return sorted(found, key=lambda each: (each.cycle.start, each.due, each.stream, each.amount))


@st.composite
def discounts(draw: st.DrawFn) -> list[DiscountTerms]:
    found = []
    for key in range(1, draw(st.integers(1, 4)) + 1):
        percentage = draw(st.none() | st.integers(1, 100).map(Decimal))
        scope = draw(st.sampled_from([{}, {"charges": ("c1", "c2")}, {"plans": ("p1",)}]))
        found.append(DiscountTerms(
            kind="coupon", key=key, name=f"C{key}", period=Period(draw(st.sampled_from(MONTHS)).start, None),
            percentage=percentage, amount=draw(CENTS) if percentage is None else None,
            cycles=draw(st.sampled_from([1, 2, None])), kept=draw(st.booleans()),
            rank=draw(st.none() | st.integers(1, 3)), **scope,
        ))  # fmt: skip
    return found


def total(slots: Sequence[Rated]) -> Decimal:
    return sum((slot.amount for slot in slots), Decimal(0))


@given(lines(), discounts())
def test_nothing_goes_below_zero(charged: list[Counted], given_: list[DiscountTerms]) -> None:
    left: dict[tuple[object, object], Decimal] = defaultdict(Decimal)
    for line in charged:
        left[line.stream, line.cycle] += line.amount
    for slot in discounts_on(contract(*given_), charged, END):
        assert slot.amount < 0
        left[slot.stream, slot.cycle] += slot.amount
    assert all(amount >= 0 for amount in left.values())


@given(lines(SIGNED), discounts())
def test_where_something_is_credited_no_more_comes_off_than_the_cycle_is_worth(
    charged: list[Counted], given_: list[DiscountTerms]
) -> None:
    alone = DiscountTerms("coupon", 1, "C", Period(START, None), percentage=Decimal(100))
    for discount in (alone, given_[0]):
        for month in MONTHS:
            of_month = [line for line in charged if line.cycle == month]
            worth = max(Decimal(0), sum((line.amount for line in of_month), Decimal(0)))
            off = [slot for slot in discounts_on(contract(discount), of_month, END) if slot.cycle == month]
            if not discount.charges and not discount.plans:
                assert -total(off) <= worth


@given(lines(), st.integers(1, 100).map(Decimal))
def test_a_percentage_takes_off_its_share_of_the_cycle_rounded_once(charged: list[Counted], part: Decimal) -> None:
    slots = discounts_on(contract(DiscountTerms("coupon", 1, "C", Period(START, None), percentage=part)), charged, END)
    for month in MONTHS:
        worth = sum((line.amount for line in charged if line.cycle == month), Decimal(0))
        off = -total([slot for slot in slots if slot.cycle == month])
        assert abs(off - worth * part / 100) <= Decimal("0.005")


@given(lines(), CENTS)
def test_an_amount_is_used_up_over_the_cycles_and_loses_nothing(charged: list[Counted], amount: Decimal) -> None:
    once = DiscountTerms("coupon", 1, "C", Period(START, None), amount=amount, cycles=1)
    worth = sum((line.amount for line in charged), Decimal(0))
    assert -total(discounts_on(contract(once), charged, END)) == min(amount, worth)


@given(lines(), discounts(), st.lists(st.integers(0, 120), max_size=4))
def test_what_fell_due_earlier_is_discounted_the_same_whatever_comes_later(
    charged: list[Counted], given_: list[DiscountTerms], days: list[int]
) -> None:
    whole = {slot.key: slot.amount for slot in discounts_on(contract(*given_), charged, END)}
    for day in days:
        until = START + timedelta(days=day)
        so_far = [line for line in charged if line.due <= until]
        later = {(line.stream, line.cycle) for line in charged if line.due > until}
        for slot in discounts_on(contract(*given_), so_far, until):
            if (slot.stream, slot.cycle) not in later:
                assert slot.amount == whole.get(slot.key, 0)


@given(lines(), discounts(), st.randoms())
def test_the_order_in_which_they_were_learned_changes_nothing(
    charged: list[Counted], given_: list[DiscountTerms], chance: object
) -> None:
    shuffled = list(given_)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (discounts_on(contract(*each), charged, END) for each in (given_, shuffled))
    assert sorted((slot.about, *slot.stream, slot.cycle.start, slot.amount) for slot in one) == sorted(
        (slot.about, *slot.stream, slot.cycle.start, slot.amount) for slot in other
    )
