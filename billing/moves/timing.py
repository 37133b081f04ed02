"""When a contract's subscriptions move: on a day, at its renewal, or at its next billing period (R4.1, R4.4).

Every instant is a local midnight in the contract's zone. Pure: no Django, no clock.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal, get_args

from billing.cycles import BillingCalendar, Cadence, make_calendar
from billing.periods import local_date, local_midnight

Kind = Literal["date", "renewal", "period"]
KINDS: tuple[Kind, ...] = get_args(Kind)
TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class When:
    """The day of the move for `date`; for `renewal` and `period` the day before which nobody moves, if any."""

    kind: Kind
    day: date | None = None

    def __post_init__(self) -> None:
        if self.kind == "date" and self.day is None:
            raise ValueError("A move on a day needs the day.")


@dataclass(frozen=True, slots=True)
class Term:
    """What a contract says about time; `end` is the day after its last, None for an open one."""

    start: date
    end: date | None
    timezone: str
    cadence: str
    anchor_day: int | None
    proration: str
    anchor_month: int | None = None
    dates: tuple[date, ...] = ()

    @property
    def begins(self) -> datetime:
        """The first instant."""
        return local_midnight(self.start, self.timezone)

    @property
    def ends(self) -> datetime | None:
        """The instant after the last, None for an open contract."""
        return local_midnight(self.end, self.timezone) if self.end else None

    @property
    def cycles(self) -> BillingCalendar:
        """Its billing periods."""
        return make_calendar(
            self.cadence, self.begins, self.timezone, anchor_day=self.anchor_day, anchor_month=self.anchor_month,
            dates=self.dates,
        )  # fmt: skip

    @property
    def years(self) -> BillingCalendar:
        """Its years, from anniversary to anniversary of its first day; 29 February is the 28th in other years."""
        return BillingCalendar(Cadence(1, "year"), self.begins, self.timezone)


@dataclass(frozen=True, slots=True)
class Moment:
    """When a contract's subscriptions move, and what a reader should know about that."""

    at: datetime
    note: str = ""


def moment(when: When, term: Term, now: datetime) -> Moment:
    """The instant of the move. A day may lie in the past (R4.7); renewals and periods are the next ones from `now`.

    Renewal is the end of a contract that has one, else the next anniversary of its first day. A contract that does
    not prorate moves at the start of a billing period only (R4.3).
    """
    if when.kind == "date":
        assert when.day is not None  # checked when it was made
        return _without_proration(local_midnight(when.day, term.timezone), term)
    earliest = max(now, local_midnight(when.day, term.timezone)) if when.day else now
    if when.kind == "period":
        return Moment(next_boundary(term.cycles, earliest))
    if term.ends is not None:
        return Moment(term.ends, "Takes effect if the contract goes on after its end.")
    return _without_proration(next_boundary(term.years, earliest), term)


def next_boundary(calendar: BillingCalendar, earliest: datetime) -> datetime:
    """The first start of a cycle that is not before `earliest`; that instant itself after the last of listed dates."""
    if earliest <= calendar.start:
        return calendar.start
    return calendar.cycle_at(earliest - TICK).period.end or earliest


def _without_proration(at: datetime, term: Term) -> Moment:
    if term.proration != "none" or at <= term.begins:
        return Moment(at)
    later = next_boundary(term.cycles, at)
    if later == at:
        return Moment(at)
    day = local_date(later, term.timezone)
    return Moment(later, f"The contract does not prorate: it moves on {day}, when its next period starts.")
