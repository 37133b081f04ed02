"""Coverage and free time together are the term: no instant is left out, none is covered twice (R4.6)."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from billing.cycles import BillingCalendar, Cadence
from billing.invoicing.fees import BilledFee, FeeLine, fee_lines
from billing.invoicing.terms import ChargeTerms, ContractTerms, FreeTime, Interval
from billing.periods import Period, local_midnight
from billing.pricing import parse_price

BERLIN = "Europe/Berlin"
START = date(2024, 2, 29)
FAR = datetime(2030, 1, 1, tzinfo=UTC)
PRICES = [parse_price({"model": "flat", "amount": amount}) for amount in ("100", "70", "33.33")]
days = st.integers(0, 500).map(lambda day: local_midnight(START + timedelta(days=day), BERLIN))


@st.composite
def contracts(draw: st.DrawFn) -> ContractTerms:
    """A contract that starts on 29 February, with changes of price, and free times that do not overlap."""
    end = local_midnight(START + timedelta(days=500), BERLIN)
    bounds = sorted({local_midnight(START, BERLIN), end, *draw(st.lists(days, max_size=3))})
    in_advance = draw(st.booleans())
    intervals = tuple(
        Interval(1, Period(*pair), Decimal(1), (
            ChargeTerms(charge_id=1, code_id=1, name="Fee", position=1, in_advance=in_advance, price=PRICES[place % 3]),
        ))
        for place, pair in enumerate(pairwise(bounds))
    )  # fmt: skip
    free = sorted(draw(st.sets(days, max_size=6)))
    calendar = BillingCalendar(
        Cadence.parse(draw(st.sampled_from(("P1M", "P3M", "P2W", "P10D", "P1Y")))), bounds[0], BERLIN,
        stub_divisor=draw(st.sampled_from(("aligned", "from_start"))),
    )  # fmt: skip
    return ContractTerms(
        contract_id=1, customer_id=1, entity_id=1, currency="USD", term=Period(bounds[0], end), calendar=calendar,
        proration=draw(st.sampled_from(("day", "second", "month30"))), intervals=intervals,
        free=tuple(FreeTime(1, Period(*pair), "pause") for pair in list(pairwise(free))[::2]),
    )  # fmt: skip


def recorded(lines: list[FeeLine], place: int = 0) -> list[BilledFee]:
    return [
        BilledFee(
            line_id=place + number, charge_id=1, name="Fee", stream=line.stream, service=line.service,
            terms=line.terms, amount=line.amount, standing=line.amount, covered=[line.service],
        )
        for number, line in enumerate(lines)
    ]  # fmt: skip


def tiled(contract: ContractTerms, pieces: list[Period]) -> None:
    """The pieces and the free time are the term, in order and once."""
    found = sorted([*pieces, *(each.period for each in contract.free)], key=lambda each: (each.start, each.until))
    found = [each for each in found if not each.is_empty]
    assert found[0].start == contract.term.start
    assert found[-1].end == contract.term.end
    assert all(before.end == after.start for before, after in pairwise(found))


@given(contracts())
def test_coverage_and_free_time_are_the_term(contract: ContractTerms) -> None:
    lines = fee_lines(contract, [], FAR)
    tiled(contract, [line.service for line in lines])
    assert all(0 < line.fraction <= 1 for line in lines)
    assert fee_lines(contract, recorded(lines), FAR) == []


@given(contracts(), days)
def test_free_time_learned_late_ends_in_the_same_coverage(contract: ContractTerms, known: datetime) -> None:
    before = ContractTerms(**{name: getattr(contract, name) for name in contract.__slots__ if name != "free"})
    billed = recorded(fee_lines(before, [], known))
    for line in fee_lines(contract, billed, FAR):
        if line.corrects is None:
            billed += recorded([line], len(billed))
        else:
            first = billed[line.corrects]
            first.covered = [rest for stretch in first.covered for rest in stretch.subtract([line.service])]
            first.standing += line.amount
            assert first.standing >= 0
    tiled(contract, [stretch for line in billed for stretch in line.covered])
    assert fee_lines(contract, billed, FAR) == []


def test_the_parts_around_a_pause_are_invoiced_when_they_start() -> None:
    """The parts on both sides of a pause are each invoiced when they start, and together with it they are the month."""
    start, end = (local_midnight(date(2024, 3, day), BERLIN) for day in (11, 21))
    calendar = BillingCalendar(Cadence.parse("P1M"), local_midnight(date(2024, 3, 1), BERLIN), BERLIN)
    charge = ChargeTerms(charge_id=1, code_id=1, name="Fee", position=1, in_advance=True, price=PRICES[0])
    month = calendar.cycle_at(calendar.start).period
    contract = ContractTerms(
        contract_id=1, customer_id=1, entity_id=1, currency="USD", proration="day", calendar=calendar, term=month,
        intervals=(Interval(1, month, Decimal(1), (charge,)),), free=(FreeTime(1, Period(start, end), "pause"),),
    )  # fmt: skip
    assert [line.fraction for line in fee_lines(contract, [], start)] == [Fraction(10, 31)]
    assert [line.fraction for line in fee_lines(contract, [], FAR)] == [Fraction(10, 31), Fraction(11, 31)]
