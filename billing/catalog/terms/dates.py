"""From when to when a term holds: days are local midnights of the contract's zone, periods those of its calendar."""

from datetime import date, datetime
from itertools import islice

from billing.catalog.terms.errors import TermsError
from billing.cycles import BillingCalendar, make_calendar
from billing.periods import Period, local_date, local_midnight
from customers.models import Contract
from customers.states import ContractState

MAX_PERIODS = 1200


def calendar_of(contract: Contract) -> BillingCalendar:
    """The cycles of a contract, in its own time zone (R4.1)."""
    start = local_midnight(contract.start, contract.timezone)
    return make_calendar(
        contract.cadence, start, contract.timezone, anchor_day=contract.anchor_day, anchor_month=contract.anchor_month,
        stub_divisor="from_start" if contract.stub_divisor == "from_start" else "aligned", dates=contract.billing_dates,
    )  # fmt: skip


def instant(at: date | datetime, contract: Contract) -> datetime:
    """The moment that is meant: a day begins at midnight in the contract's zone."""
    return at if isinstance(at, datetime) else local_midnight(at, contract.timezone)


def term_period(
    contract: Contract, start: date | datetime, end: date | datetime | None, periods: int | None
) -> Period:  # fmt: skip
    """`[start, end)`, or `periods` billing periods of which the one that contains the start is the first.

    TermsError when both or neither order is possible, or the contract does not prorate and a bound cuts a period.
    """
    begin = instant(start, contract)
    if end is not None and periods is not None:
        raise TermsError("Say until when or for how many periods, not both.")
    until = instant(end, contract) if end is not None else None
    if periods is not None:
        until = after_periods(contract, begin, periods)
    if until is not None and until <= begin:
        raise TermsError("A term ends after it starts: choose a later end.")
    for bound in (begin, until):
        if bound is not None:
            check_cut(contract, bound)
    return Period(begin, until)


def after_periods(contract: Contract, begin: datetime, periods: int) -> datetime:
    """The end of the last of `periods` billing periods, the first of which contains `begin`."""
    if not 1 <= periods <= MAX_PERIODS:
        raise TermsError(f"A term holds for 1 to {MAX_PERIODS} periods, not {periods}.")
    calendar = calendar_of(contract)
    far = datetime.max.replace(tzinfo=begin.tzinfo)
    last = next(islice(calendar.cycles(far, begin), periods - 1, None), None)
    if last is None:
        raise TermsError(
            f"Contract {contract} lists dates for fewer than {periods} periods: add dates, or name the end."
        )
    return last.period.until


def check_cut(contract: Contract, bound: datetime) -> None:
    """Without proration a change waits for the next period (R4.3)."""
    if contract.state != ContractState.ACTIVE or contract.proration != Contract.Proration.NONE:
        return
    calendar = calendar_of(contract)
    if bound > calendar.start:
        cycle = calendar.cycle_at(bound).period
        if cycle.start != bound and cycle.end is not None:
            following = local_date(cycle.until, contract.timezone)
            raise TermsError(
                f"Contract {contract} does not prorate: let the term start and end with its periods, as on {following}."
            )
