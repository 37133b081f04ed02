"""Whether a subscription can be moved at an instant, and why not, in a sentence. Pure: no Django, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from billing.moves.criteria import Criteria
from billing.moves.splicing import Row, in_force, stretch
from billing.moves.timing import Term, moment
from billing.periods import Period, local_date

REASONS: Final = {
    "excluded": "On the list of those to leave out",
    "own_terms": "Has own terms",
    "no_price": "No price in its currency",
    "not_in_force": "Not in force then",
    "already": "On that version by then",
    "meter": "Meter counted elsewhere",
    "over": "Contract ended",
    "same_moment": "Another change at that moment",
    "closed": "Version takes no subscribers",
    "misfit": "Terms do not fit together",
    "database": "Refused by the database",
}


@dataclass(frozen=True, slots=True)
class Rival:
    """Another subscription of the same customer that counts a meter of the version to move to, over `period`."""

    name: str
    meter: str
    period: Period


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a subscription: its contract's term, its intervals, and what may stand in the way.

    `stops` are the instants at which other moves take over; `own` the stretches of the customer's own terms;
    `unpriced` names a charge of the version to move to that has no price in the contract's currency.
    """

    contract: str
    currency: str
    term: Term
    rows: tuple[Row, ...]
    stops: frozenset[datetime] = frozenset()
    unpriced: str = ""
    rivals: tuple[Rival, ...] = ()
    own: tuple[Period, ...] = ()
    listed: bool = False

    def day(self, at: datetime) -> date:
        """The day of an instant, in the contract's zone."""
        return local_date(at, self.term.timezone)

    def own_at(self, at: datetime) -> bool:
        """Whether own terms hold at an instant or later."""
        return any(each.end is None or each.end > at for each in self.own)


@dataclass(frozen=True, slots=True)
class Verdict:
    """When a subscription moves and from which version; with a `code` of REASONS it does not, `note` says why."""

    at: datetime | None = None
    version: int | None = None
    code: str = ""
    note: str = ""


def judge(facts: Facts, criteria: Criteria, target: int, names: Mapping[int, str], now: datetime) -> Verdict:
    """What becomes of a subscription that meets the criteria; `names` are the versions' names by id."""
    if facts.listed:
        return Verdict(code="excluded", note="Is on the list of customers to leave out.")
    when = moment(criteria.when, facts.term, now)
    ends = facts.term.ends
    if ends is not None and ends < max(now, when.at):
        return Verdict(code="over", note=f"Contract {facts.contract} ended on {facts.term.end}.")
    if criteria.own_terms == "leave_out" and facts.own_at(when.at):
        return Verdict(code="own_terms", note=f"Has own terms on {facts.day(when.at)}, and was to be left out then.")
    code, note = obstacle(facts, when.at, target, names)
    if code:
        return Verdict(code=code, note=note)
    row = in_force(facts.rows, when.at)
    assert row is not None  # or it would be an obstacle
    notes = [each for each in (when.note, _on_another(facts, row, names, now), _until(facts, when.at, names)) if each]
    return Verdict(when.at, row.version, note=" ".join(notes))


def obstacle(facts: Facts, at: datetime, target: int, names: Mapping[int, str]) -> tuple[str, str]:
    """Why a subscription cannot be bound to `target` from `at` on: a code and a sentence, both empty if it can."""
    row = in_force(facts.rows, at)
    day = facts.day(at)
    if row is None:
        return "not_in_force", f"Is not in force on {day}{_term_of(facts, at)}."
    if row.version == target:
        return "already", f"Is on {names[target]} by {day} already."
    if facts.unpriced:
        words = f"“{facts.unpriced}” of {names[target]} has no price in {facts.currency}, the currency of its contract."
        return "no_price", words
    period = Period(at, stretch(facts.rows, at, facts.stops)[-1].end)
    rival = next((each for each in facts.rivals if each.period.intersect(period)), None)
    if rival:
        return (
            "meter",
            f"Meter {rival.meter} of {names[target]} is counted by {rival.name} then: end that first.",
        )
    return "", ""


def changed(facts: Facts, at: datetime, seen: int, target: int, names: Mapping[int, str]) -> tuple[str, str]:
    """`obstacle`, once more before it is written; `seen` is the version that the preview found in force at `at`.

    Another change that was put at the very same instant since then stands; an earlier one does not hinder.
    """
    row = in_force(facts.rows, at)
    if row and row.version not in (seen, target) and row.start == at:
        text = f"Somebody put it on {names[row.version]} from {facts.day(at)} since the preview: cancel that first."
        return "same_moment", text
    return obstacle(facts, at, target, names)


def _term_of(facts: Facts, at: datetime) -> str:
    """When the subscription begins or ended, if that is why it is not in force."""
    later = [row.start for row in facts.rows if row.start > at]
    if later:
        return f": it starts on {facts.day(min(later))}"
    ends = [row.end for row in facts.rows if row.end is not None and row.end <= at]
    return f": it ends on {facts.day(max(ends))}" if ends else ""


def _on_another(facts: Facts, row: Row, names: Mapping[int, str], now: datetime) -> str:
    today = in_force(facts.rows, now)
    return f"On {names[row.version]} by then." if today and today.version != row.version else ""


def _until(facts: Facts, at: datetime, names: Mapping[int, str]) -> str:
    """What ends the new version's time: a change that was planned before, which stands."""
    last = stretch(facts.rows, at, facts.stops)[-1]
    after = in_force(facts.rows, last.end) if last.end else None
    return f"Until {facts.day(after.start)}, when {names[after.version]} begins as planned before." if after else ""
