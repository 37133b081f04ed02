"""What lines and discounts that were added by hand come to. Pure: no Django, no clock.

Each is a slot of its own, billed once. A line stands at its amount for as long as it is said. What a discount takes off
is told from the draft that it is first billed on, and stands then: later adjustments do not change it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Final

from billing.invoicing.fees import FeeLine
from billing.invoicing.rated import SlotKey
from billing.invoicing.slots import LAST, MANUAL, SlotLine, Standing, taken_back
from billing.invoicing.terms import WHOLE, StreamKey, whole_of
from billing.money import allocate, plain, round_money
from billing.periods import Period
from billing.pricing.ratings import charged, made_of
from billing.pricing.words import Words

ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class LineName:
    """Which line of a draft is meant, however often the draft is computed."""

    stream: StreamKey
    kind: str
    start: datetime


@dataclass(frozen=True, slots=True)
class Manual:
    """What somebody added: a line that is an amount or a quantity at a price, or a discount (`off`) on others.

    `key` stays when it is said anew. `due_on` is a day of the contract's zone.
    """

    key: int
    off: bool
    text: str
    due_on: date
    period: Period
    quantity: Decimal | None = None
    unit: str = ""
    unit_price: Decimal | None = None
    amount: Decimal | None = None
    percentage: Decimal | None = None
    of: LineName | None = None

    @property
    def about(self) -> str:
        """By which its slot is known."""
        return f"{MANUAL} {self.key}"


@dataclass(frozen=True, slots=True)
class Draft:
    """What manual lines come on: a contract and its currency, the day that it is billed as of, and what stands."""

    contract_id: int
    currency: str
    day: date
    standing: Mapping[SlotKey, Standing]


def worth(line: Manual, currency: str) -> Decimal:
    """What a manual line bills: its amount, or quantity × unit price rounded once to the minor unit."""
    if line.amount is not None:
        return line.amount
    return round_money(Fraction(line.quantity or 0) * Fraction(line.unit_price or 0), currency)


def manual_lines(
    draft: Draft, manual: Iterable[Manual], computed: Sequence[FeeLine | SlotLine]
) -> list[SlotLine]:  # fmt: skip
    """Desired − recorded of what was added by hand; `computed` are all other lines that the draft is to have."""
    said = sorted(manual, key=lambda each: each.key)
    stands = {key: each for key, each in draft.standing.items() if each.manual}
    billed = {each.about for each in stands.values() if each.desired}
    due = [each for each in said if each.due_on <= draft.day or each.about in billed]
    found = [line for each in due if not each.off for line in _line(draft, each)]
    kept = {_key(draft, each) for each in due if not each.off}
    kept |= {key for key, each in stands.items() if each.about in {one.about for one in said if one.off}}
    rest = _Rest([*computed, *found])
    for each in due:
        if each.off and each.about not in billed:
            found += _off(draft, each, rest)
    return found + [taken_back(each) for key, each in stands.items() if key not in kept and each.desired]


def next_due(manual: Iterable[Manual], day: date) -> date | None:
    """The first day after `day` on which one falls due."""
    return min((each.due_on for each in manual if each.due_on > day), default=None)


def _key(draft: Draft, line: Manual) -> SlotKey:
    return "one_off", (whole_of(draft.contract_id), WHOLE), line.period, line.about


def _line(draft: Draft, line: Manual) -> list[SlotLine]:
    """The line, unless it is billed as it stands."""
    key, desired = _key(draft, line), worth(line, draft.currency)
    stands = draft.standing.get(key)
    before = stands.desired if stands else ZERO
    if stands and desired == before:
        return []
    steps = []
    if line.quantity is not None:
        words = Words(draft.currency, line.unit)
        label = f"{words.metered(line.quantity).strip()} at {words.money(line.unit_price or ZERO)}"
        steps = [charged(label, line.quantity, line.unit_price, None).to_json()]
    return [
        SlotLine(
            kind="one_off", stream=key[1], cycle=line.period, service=line.period, charge_id=None, name=line.text,
            position=LAST, quantity=line.quantity, unit=line.unit, steps=steps, billed_before=before, desired=desired,
            corrects=stands.line_id if stands else None, about=line.about,
        )
    ]  # fmt: skip


class _Rest:
    """What can still be taken off: lines above zero, each stream with what else comes off it."""

    def __init__(self, lines: Sequence[FeeLine | SlotLine]) -> None:
        self.lines = [line for line in lines if line.corrects is None]
        self.left: dict[StreamKey, Decimal] = {}
        for line in self.lines:
            self.left[line.stream] = self.left.get(line.stream, ZERO) + line.amount
        self.left = {stream: max(ZERO, amount) for stream, amount in self.left.items()}

    def base(self, of: LineName | None) -> dict[StreamKey, Decimal]:
        """What a discount is of, by stream: all, or one line, of which no more than its stream has left."""
        if of is None:
            return {stream: amount for stream, amount in self.left.items() if amount}
        same = [line.amount for line in self.lines if name_of(line) == of]
        amount = min(sum(same, ZERO), self.left.get(of.stream, ZERO))
        return {of.stream: amount} if amount > 0 else {}

    def of_stream(self, stream: StreamKey) -> list[FeeLine | SlotLine]:
        """Its lines above zero, the first of which names it."""
        return [line for line in self.lines if line.stream == stream and line.amount > 0]


def name_of(line: FeeLine | SlotLine) -> LineName:
    """By which a discount finds the line again."""
    return LineName(line.stream, "recurring" if isinstance(line, FeeLine) else line.kind, line.service.start)


def _off(draft: Draft, each: Manual, rest: _Rest) -> list[SlotLine]:
    """A line for each stream that a discount takes something off: pro rata, by largest remainder, never below zero."""
    base = rest.base(each.of)
    most = sum(base.values(), ZERO)
    if each.percentage is None:
        wanted = min(each.amount or ZERO, most)
        label = f"Its part of {Words(draft.currency, '').money(each.amount or ZERO)}"
    else:
        wanted = round_money(Fraction(most) * Fraction(each.percentage) / 100, draft.currency)
        label = f"Less {plain(each.percentage)} %"
    if not wanted:
        return []
    found = []
    for stream, off in zip(base, allocate(wanted, list(base.values()), draft.currency), strict=True):
        if not off:
            continue
        rest.left[stream] -= off
        lines = rest.of_stream(stream)
        service = Period(min(line.service.start for line in lines), max(line.service.until for line in lines))
        found.append(SlotLine(
            kind="one_off", stream=stream, cycle=each.period, service=service, charge_id=lines[0].charge_id,
            name=f"{each.text}: {lines[0].name}"[:200], position=LAST, quantity=None, unit="",
            steps=[made_of(label, -off).to_json()], billed_before=ZERO, desired=-off, about=each.about,
        ))  # fmt: skip
    return found
