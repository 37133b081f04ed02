"""What holds of minimums, maximums and commitments on spending, whatever the charges."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from billing.catalog.terms.values import SpendTerms
from billing.cycles import BillingCalendar, Cadence
from billing.invoicing.rated import Rated
from billing.invoicing.spend import Kind, adjustments, spend_slots
from billing.invoicing.terms import ChargeTerms, ContractTerms, Interval
from billing.periods import Period
from billing.pricing import parse_price

START, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 4, 1, tzinfo=UTC)
CALENDAR = BillingCalendar(Cadence.parse("P1M"), START, "UTC")
MONTHS = [cycle.period for cycle in CALENDAR.cycles(END)]
CENTS = st.integers(0, 10**7).map(lambda cents: Decimal(cents) / 100)
KINDS = st.sampled_from(["minimum", "maximum", "commitment"])
FACTORS = st.sampled_from([Decimal(1), Decimal("0.8"), Decimal("1.255"), Decimal(0)])


def charge(place: int) -> ChargeTerms:
    price = parse_price({"model": "per_unit", "unit_amount": "1", "currency": "USD"})
    return ChargeTerms(place, place, f"Charge {place}", place, False, price, meter_id=place, code=f"c{place}")


def slot(place: int, cycle: Period, amount: Decimal) -> Rated:
    return Rated("usage", (1, place), cycle, cycle, charge(place), f"Charge {place}", None, "", [], amount)


def contract(*spend: SpendTerms) -> ContractTerms:
    interval = Interval(1, Period(START, None), Decimal(1), tuple(charge(place) for place in (1, 2, 3)))
    return ContractTerms(1, 1, 1, "USD", "day", CALENDAR, Period(START, None), (interval,), spend)


def agreed(kind: Kind, amount: Decimal, per: str, factor: Decimal) -> SpendTerms:
    return SpendTerms(1, kind, "Agreed", amount, per, Period(START, END), overage_factor=factor)  # type: ignore[arg-type]


@given(CENTS, CENTS, FACTORS)
def test_a_minimum_reaches_its_amount_and_a_maximum_keeps_to_it(amount: Decimal, counted: Decimal, by: Decimal) -> None:
    exact = Fraction(counted)
    assert exact + adjustments("minimum", amount, counted, by)["minimum"] == max(amount, counted)
    assert exact + adjustments("maximum", amount, counted, by)["maximum"] == min(amount, counted)
    committed = adjustments("commitment", amount, counted, by)
    assert exact + committed["true_up"] == max(amount, counted)
    assert committed.get("overage", 0) == Fraction(max(Decimal(0), counted - amount)) * (Fraction(by) - 1)


@given(
    KINDS, st.sampled_from(["cycle", "term"]), CENTS, FACTORS,
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 2), CENTS), max_size=8), st.data(),
)  # fmt: skip
def test_it_does_not_matter_how_charges_are_split_into_lines(
    kind: Kind, per: str, amount: Decimal, factor: Decimal, lines: list[tuple[int, int, Decimal]], data: st.DataObject
) -> None:
    whole = [slot(place, MONTHS[month], each) for place, month, each in lines]
    split: list[Rated] = []
    for each in whole:
        part = data.draw(st.integers(0, int(each.amount * 100)).map(lambda cents: Decimal(cents) / 100))
        split += [replace(each, amount=part), replace(each, amount=each.amount - part)]
    terms = contract(agreed(kind, amount, per, factor))
    one, other = spend_slots(terms, whole, END), spend_slots(terms, data.draw(st.permutations(split)), END)
    assert [(each.due, each.slot.key, each.slot.amount) for each in one] == [
        (each.due, each.slot.key, each.slot.amount) for each in other]  # fmt: skip
    for each in one:
        steps = sum((Fraction(step["amount"]) for step in each.slot.steps), Fraction(0))
        assert steps == each.slot.amount
        if kind == "maximum":
            counted = sum((line.amount for line in whole if per == "term" or line.cycle == each.slot.cycle), Decimal(0))
            assert counted + each.slot.amount <= max(amount, Decimal(0))
