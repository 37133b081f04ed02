"""When a contract has to be computed again though nothing new is learned of it. Pure: no Django, no clock."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta

from billing.invoicing.calendars import calendar_of, next_boundary
from billing.invoicing.fees import BilledFee
from billing.invoicing.slots import Standing
from billing.invoicing.terms import ContractTerms
from billing.periods import Period, local_date, local_midnight


def due_on(
    contract: ContractTerms, standing: Iterable[Standing], billed: Iterable[BilledFee], as_of: datetime
) -> date | None:
    """The first day as of which the delta may differ from that as of `as_of`, from the same facts; None for never.

    Whatever falls due does so at a boundary of a cycle, or where a stretch of terms, of the contract, or of something
    billed begins or ends: it may be a day too early, and is never too late. The day is of the contract's zone.
    """
    if contract.discounts:  # whether one is due goes by the day itself
        return local_date(as_of, contract.calendar.timezone) + timedelta(days=1)
    following = min((each for each in _bounds(contract, standing, billed, as_of) if each > as_of), default=None)
    if following is None:
        return None
    zone = contract.calendar.timezone
    day = local_date(following, zone)
    return day if local_midnight(day, zone) >= following else day + timedelta(days=1)


def _bounds(
    contract: ContractTerms, standing: Iterable[Standing], billed: Iterable[BilledFee], as_of: datetime
) -> Iterator[datetime]:
    """Every instant at which something may fall due; of each calendar the first one after `as_of` alone."""
    for period in _periods(contract, standing, billed):
        yield period.start
        if period.end is not None:
            yield period.end
    calendars = {contract.calendar}
    calendars.update(calendar_of(contract, charge) for each in contract.intervals for charge in each.charges)
    over = contract.term.end is not None and contract.term.end <= as_of
    if not over:
        yield from filter(None, (next_boundary(calendar, as_of) for calendar in calendars))


def _periods(
    contract: ContractTerms, standing: Iterable[Standing], billed: Iterable[BilledFee]
) -> Iterator[Period]:  # fmt: skip
    yield contract.term
    yield from (each.period for each in contract.intervals)
    yield from (each.period for each in contract.spend)
    yield from (each.period for each in contract.free)
    for stands in standing:
        yield stands.cycle
        yield stands.service
    for fee in billed:
        yield from fee.covered
