"""Recurring fees as sets of (stretch, terms): pure, without a database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import count, pairwise

from hypothesis import given
from hypothesis import strategies as st

from billing.catalog.changes.options import Options
from billing.cycles import BillingCalendar, Cadence
from billing.invoicing.fees import BilledFee, FeeLine, fee_lines
from billing.invoicing.stretches import PAID_UNTIL
from billing.invoicing.terms import ChargeTerms, ContractTerms, Interval
from billing.periods import Period
from billing.pricing import parse_price

SERIAL = count(1)


def at(month: int, day: int = 1, year: int = 2024) -> datetime:
    return datetime(year, month, day, tzinfo=UTC)


def charge(amount: str = "31.00", *, in_advance: bool = True) -> ChargeTerms:
    price = parse_price({"model": "per_unit", "unit_amount": amount, "currency": "USD"})
    return ChargeTerms(charge_id=1, code_id=1, name="Seats", position=0, in_advance=in_advance, price=price)


def contract(
    *intervals: tuple[Period, ChargeTerms, int], end: datetime | None = None, **fields: object
) -> ContractTerms:
    start = at(1)
    terms = ContractTerms(
        contract_id=1, customer_id=1, entity_id=1, currency="USD", proration="day",
        calendar=BillingCalendar(Cadence.parse("P1M"), start, "UTC"), term=Period(start, end),
        intervals=tuple(Interval(1, period, Decimal(quantity), (each,)) for period, each, quantity in intervals),
    )  # fmt: skip
    return replace(terms, **fields)  # type: ignore[arg-type]


def whole(amount: str = "31.00", quantity: int = 1, **fields: object) -> ContractTerms:
    return contract((Period(at(1), None), charge(amount), quantity), **fields)  # type: ignore[arg-type]


def record(billed: list[BilledFee], lines: list[FeeLine]) -> list[BilledFee]:
    """What approving the lines leaves recorded, as the database keeps it."""
    for line in lines:
        if line.corrects is not None:
            fee = next(each for each in billed if each.line_id == line.corrects)
            fee.covered = [left for stretch in fee.covered for left in stretch.subtract([line.service])]
            fee.standing += line.amount
            if PAID_UNTIL in line.terms:
                fee.terms = line.terms
            assert min(fee.amount, 0) <= fee.standing <= max(fee.amount, 0)
    fresh = [
        BilledFee(next(SERIAL), line.charge_id, line.name, line.stream, line.service, line.terms, line.amount,
                  line.amount, [line.service])
        for line in lines
        if line.corrects is None
    ]  # fmt: skip
    return [fee for fee in billed if fee.covered] + fresh


def shown(lines: list[FeeLine]) -> list[tuple[str, str, str]]:
    return sorted((f"{x.service.start:%m-%d}", f"{x.service.end:%m-%d}", str(x.amount)) for x in lines)


def test_it_works() -> None:
    assert shown(fee_lines(whole(), [], at(2))) == [("01-01", "02-01", "31.00"), ("02-01", "03-01", "31.00")]


def test_what_is_recorded_is_not_billed_again() -> None:
    billed = record([], fee_lines(whole(), [], at(3)))
    assert fee_lines(whole(), billed, at(3)) == []
    assert shown(fee_lines(whole(), billed, at(4))) == [("04-01", "05-01", "31.00")]


def test_an_earlier_run_takes_nothing_back() -> None:
    billed = record([], fee_lines(whole(), [], at(3)))
    assert fee_lines(whole(), billed, at(1)) == []


def test_a_moved_anchor_bills_only_the_gap_to_the_next_boundary() -> None:
    billed = record([], fee_lines(whole(), [], at(1)))
    moved = whole(calendar=BillingCalendar(Cadence.parse("P1M"), at(1), "UTC", anchor_day=15))
    assert fee_lines(moved, billed, at(1, 31)) == []
    gap = fee_lines(moved, billed, at(2))
    assert [(x.service.start, x.service.end, x.fraction) for x in gap] == [(at(2), at(2, 15), Fraction(14, 31))]


def test_more_seats_in_mid_cycle_credit_the_old_share_and_charge_the_new() -> None:
    billed = record([], fee_lines(whole(quantity=2), [], at(1)))
    grown = contract((Period(at(1), at(1, 17)), charge(), 2), (Period(at(1, 17), None), charge(), 3))
    assert fee_lines(grown, billed, at(1, 16)) == []  # the change is known, but not due yet
    lines = fee_lines(grown, billed, at(1, 17))
    assert shown(lines) == [("01-17", "02-01", "-30.00"), ("01-17", "02-01", "45.00")]
    assert [x.corrects for x in lines if x.amount < 0] == [billed[0].line_id]


def test_an_undone_change_ends_in_the_old_bill() -> None:
    grown = contract((Period(at(1), at(1, 17)), charge(), 2), (Period(at(1, 17), None), charge(), 3))
    billed = record([], fee_lines(whole(quantity=2), [], at(1)))
    billed = record(billed, fee_lines(grown, billed, at(1, 20)))
    back = fee_lines(whole(quantity=2), billed, at(1, 20))
    assert sum(x.amount for x in back) == Decimal("-15.00")
    assert fee_lines(whole(quantity=2), record(billed, back), at(1, 20)) == []


def test_a_version_with_the_same_terms_bills_nothing() -> None:
    billed = record([], fee_lines(whole(), [], at(1)))
    moved = contract(
        (Period(at(1), at(1, 9)), charge(), 1), (Period(at(1, 9), None), replace(charge(), charge_id=9), 1)
    )
    assert fee_lines(moved, billed, at(1, 31)) == []


def test_what_ends_is_credited_from_its_end_on() -> None:
    billed = record([], fee_lines(whole(), [], at(1)))
    ended = contract((Period(at(1), at(1, 11)), charge(), 1))
    assert shown(fee_lines(ended, billed, at(1, 11))) == [("01-11", "02-01", "-21.00")]
    gone = contract()
    assert shown(fee_lines(gone, billed, at(1, 11))) == [("01-01", "02-01", "-31.00")]


def test_the_last_credit_of_a_line_takes_exactly_what_it_still_stands_for() -> None:
    billed = record([], fee_lines(whole("0.10"), [], at(1)))
    first = contract((Period(at(1), at(1, 11)), charge("0.10"), 1), (Period(at(1, 21), None), charge("0.10"), 1))
    billed = record(billed, fee_lines(first, billed, at(1, 31)))
    assert billed[0].standing == Decimal("0.07")
    rest = fee_lines(contract(), billed, at(1, 31))
    assert sum(x.amount for x in rest) == Decimal("-0.07")


def test_a_fee_in_arrears_falls_due_at_the_end_of_its_cycle_or_of_the_contract() -> None:
    terms = contract((Period(at(1), None), charge(in_advance=False), 1), end=at(2, 11))
    assert fee_lines(terms, [], at(1, 31)) == []
    assert shown(fee_lines(terms, [], at(2))) == [("01-01", "02-01", "31.00")]
    assert shown(fee_lines(terms, [], at(2, 11)))[1:] == [("02-01", "02-11", "10.69")]


def test_without_proration_a_stub_is_billed_in_full() -> None:
    terms = contract((Period(at(1, 20), None), charge(), 1), proration="none")
    assert shown(fee_lines(terms, [], at(2))) == [("01-20", "02-01", "31.00"), ("02-01", "03-01", "31.00")]


CHANGES = st.lists(st.tuples(st.integers(0, 90), st.integers(0, 3)), min_size=1, max_size=6)


def _history(changes: list[tuple[int, int]]) -> ContractTerms:
    """Seats that change by day; of two changes on a day the later given stands."""
    days = sorted(dict([(0, 1), *changes]).items())
    bounds = [at(1) + (at(1, 2) - at(1)) * day for day, _ in days]
    ends = [*bounds[1:], None]
    return contract(*[
        (Period(start, end), charge("31.07"), quantity)
        for (_, quantity), start, end in zip(days, bounds, ends, strict=True)
    ])  # fmt: skip


@given(st.lists(CHANGES, min_size=1, max_size=4), st.lists(st.integers(0, 120), min_size=1, max_size=5))
def test_whatever_was_believed_when_the_bill_ends_as_the_last_belief_has_it(
    beliefs: list[list[tuple[int, int]]], days: list[int]
) -> None:
    """Facts change between runs in any way; what stands covers what is wanted, once, and a second run is empty."""
    billed: list[BilledFee] = []
    for number, day in enumerate([*sorted(days), 120]):
        terms = _history(beliefs[min(number, len(beliefs) - 1)])
        as_of = at(1) + (at(1, 2) - at(1)) * day
        billed = record(billed, fee_lines(terms, billed, as_of))
        assert fee_lines(terms, billed, as_of) == []
        stretches = sorted((stretch.start, stretch.end) for fee in billed for stretch in fee.covered)
        assert all(first[1] <= second[0] for first, second in pairwise(stretches))


def changed(options: Options, *, on: int = 11, seats: int = 2, **after: object) -> ContractTerms:
    """One seat from January, more from a day of it on, by a change with these options."""
    terms = contract((Period(at(1), at(1, on)), charge(), 1), (Period(at(1, on), None), charge(), seats), **after)  # type: ignore[arg-type]
    first, second = terms.intervals
    return replace(terms, intervals=(first, replace(second, begun=options)))


def ends(terms: ContractTerms, billed: list[BilledFee], *days: datetime) -> Decimal:
    """What all runs on these days bill."""
    total = Decimal(0)
    for day in days:
        lines = fee_lines(terms, billed, day)
        total += sum((line.amount for line in lines), Decimal(0))
        billed[:] = record(billed, lines)
        assert fee_lines(terms, billed, day) == []
    return total


NOT_CREDITED = Options(unused="none")


def test_unused_time_that_is_not_credited_makes_room_by_a_credit_of_nothing() -> None:
    billed = record([], fee_lines(whole(), [], at(1)))
    assert fee_lines(changed(NOT_CREDITED), billed, at(1, 10)) == []
    lines = fee_lines(changed(NOT_CREDITED), billed, at(1, 11))
    assert [(x.amount, x.corrects is None) for x in lines] == [(Decimal(0), False), (Decimal("42.00"), True)]
    assert ends(changed(NOT_CREDITED), billed, at(1, 11), at(2)) == Decimal("42.00") + 62


def test_the_bill_without_credit_is_the_same_when_the_change_was_known_first() -> None:
    lines = fee_lines(changed(NOT_CREDITED), [], at(1, 31))
    assert shown(lines) == [("01-01", "01-11", "31.00"), ("01-11", "02-01", "42.00")]


def test_a_change_without_credit_that_is_undone_leaves_the_old_bill() -> None:
    for known_first in (True, False):
        billed: list[BilledFee] = []
        total = ends(changed(NOT_CREDITED) if known_first else whole(), billed, at(1, 5))
        total += ends(changed(NOT_CREDITED), billed, at(1, 20))
        total += ends(whole(), billed, at(1, 25))
        assert total == Decimal("31.00")


def test_an_end_without_credit_keeps_what_was_paid() -> None:
    ended = contract((Period(at(1), at(1, 11)), charge(), 1))
    ended = replace(ended, intervals=(replace(ended.intervals[0], ended=NOT_CREDITED),))
    billed = record([], fee_lines(whole(), [], at(1)))
    assert ends(ended, billed, at(1, 11), at(3)) == 0
    assert ends(ended, [], at(1, 11), at(3)) == Decimal("31.00")


def test_new_terms_in_full_cost_a_whole_period_and_are_credited_as_such() -> None:
    full = Options(fees="full")
    billed = record([], fee_lines(whole(), [], at(1)))
    assert shown(fee_lines(changed(full), billed, at(1, 11))) == [
        ("01-11", "02-01", "-21.00"), ("01-11", "02-01", "62.00")]  # fmt: skip
    assert ends(changed(full), billed, at(1, 11), at(2)) == Decimal("41.00") + 62
    assert ends(whole(), billed, at(2)) == Decimal("-41.00") - 31


def test_new_terms_from_the_next_period_leave_the_rest_of_this_one_free() -> None:
    later = Options(unused="none", fees="next_period")
    billed = record([], fee_lines(whole(), [], at(1)))
    assert ends(changed(later), billed, at(1, 11)) == 0
    assert ends(changed(later), billed, at(2)) == Decimal("62.00")


def test_a_reset_anchor_starts_a_whole_period_at_the_change() -> None:
    terms = changed(Options(anchor="change"))
    first, second = terms.intervals
    moved = BillingCalendar(Cadence.parse("P1M"), at(1, 11), "UTC")
    after = replace(second, charges=tuple(replace(each, calendar=moved) for each in second.charges))
    terms = replace(terms, intervals=(first, after))
    billed = record([], fee_lines(whole(), [], at(1)))
    assert shown(fee_lines(terms, billed, at(1, 11))) == [("01-11", "02-01", "-21.00"), ("01-11", "02-11", "62.00")]
    billed = record(billed, fee_lines(terms, billed, at(1, 11)))
    gone = replace(terms, intervals=(first,))
    assert shown(fee_lines(gone, billed, at(1, 12))) == [("01-11", "02-11", "-62.00")]


OPTIONS = st.builds(
    Options, unused=st.sampled_from(["credit", "none"]), fees=st.sampled_from(["prorated", "full", "next_period"])
)


@given(OPTIONS, OPTIONS, st.integers(2, 28), st.integers(29, 70), st.permutations([0, 1, 2]), st.booleans())
def test_options_bill_the_same_in_whatever_order_changes_are_learned(
    one: Options, other: Options, first: int, second: int, order: list[int], last: bool
) -> None:
    def known(which: set[int]) -> ContractTerms:
        facts = [(0, 1, Options()), (first, 2, one), (second, 3, other)]
        held = [fact for place, fact in enumerate(facts) if place == 0 or place in which]
        bounds = [at(1) + timedelta(day) for day, _, _ in held]
        rows = [
            replace(contract((Period(start, end), charge(), seats)).intervals[0], begun=how)
            for (_, seats, how), start, end in zip(held, bounds, [*bounds[1:], None], strict=True)
        ]
        return contract() if not rows else replace(contract(), intervals=tuple(rows))

    billed: list[BilledFee] = []
    total, held = Decimal(0), set[int]()
    for step in order:
        held.add(step)
        total += ends(known(held), billed, at(3, 15) if last else at(2, 10))
    total += ends(known({1, 2}), billed, at(4, 10))
    at_once = ends(known({1, 2}), [], at(4, 10))
    assert abs(total - at_once) <= Decimal("0.05")
