"""What credits that were conceded come to. Pure: no Django, no clock.

Each is a slot of its own, beside what it is a credit of: a fee that is reduced by one still covers its time, and the
next revision of usage is not disturbed. It never takes more than what it is a credit of still comes to (R5.3).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from billing.invoicing.fees import FeeLine
from billing.invoicing.rated import SlotKey
from billing.invoicing.slots import CONCESSION, LAST, SlotLine, Standing, taken_back
from billing.invoicing.terms import StreamKey
from billing.periods import Period
from billing.pricing.ratings import made_of

ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Concession:
    """A credit of a line that was issued: `amount` comes off it, and has its sign.

    `slot` is what the line is billed for; None for a fee, which stands recorded at `stands`.
    """

    key: int
    line_id: int
    amount: Decimal
    name: str
    charge_id: int | None
    stream: StreamKey
    period: Period
    slot: SlotKey | None
    stands: Decimal
    quantity: Decimal | None = None
    unit: str = ""

    @property
    def about(self) -> str:
        """By which its slot is known."""
        return f"{CONCESSION} {self.key}"

    @property
    def slot_key(self) -> SlotKey:
        """Its own slot."""
        return "one_off", self.stream, self.period, self.about


def capped(amount: Decimal, rest: Decimal) -> Decimal:
    """As much of `amount` as `rest` has, both of one sign; nothing where the signs differ."""
    if amount * rest <= 0:
        return ZERO
    return min(amount, rest) if amount > 0 else max(amount, rest)


def concession_lines(
    conceded: Iterable[Concession], standing: Mapping[SlotKey, Standing], computed: Sequence[FeeLine | SlotLine]
) -> list[SlotLine]:
    """Desired − recorded of what was conceded; `computed` are the other lines that the draft is to have."""
    said = sorted(conceded, key=lambda each: each.key)
    rest: dict[SlotKey | int, Decimal] = {}
    found = []
    for each in said:
        of = each.slot or each.line_id
        left = rest.setdefault(of, _wanted(each, standing, computed))
        taken = capped(each.amount, left)
        rest[of] = left - taken
        found += _line(each, -taken, standing.get(each.slot_key))
    kept = {each.slot_key for each in said}
    gone = [each for key, each in standing.items() if each.conceded and key not in kept and each.desired]
    return found + [taken_back(each) for each in gone]


def _wanted(each: Concession, standing: Mapping[SlotKey, Standing], computed: Sequence[FeeLine | SlotLine]) -> Decimal:
    """What it is a credit of comes to, once the draft stands."""
    if each.slot is None:
        return each.stands + sum((line.amount for line in computed if line.corrects == each.line_id), ZERO)
    for line in computed:
        if isinstance(line, SlotLine) and line.key == each.slot:
            return line.desired
    stands = standing.get(each.slot)
    return stands.desired if stands else ZERO


def _line(each: Concession, desired: Decimal, stands: Standing | None) -> list[SlotLine]:
    """The line that brings it to what it comes to, unless it stands so."""
    before = stands.desired if stands else ZERO
    if desired == before:
        return []
    quantity = each.quantity if desired == -each.amount else None  # of less, nobody said how much
    return [
        SlotLine(
            kind="one_off", stream=each.stream, cycle=each.period, service=each.period, charge_id=each.charge_id,
            name=f"Credit: {each.name}"[:200], position=LAST, quantity=quantity,
            unit="" if quantity is None else each.unit,
            steps=[made_of("Credited", desired).to_json()], billed_before=before, desired=desired,
            corrects=each.line_id, about=each.about,
        )
    ]  # fmt: skip
