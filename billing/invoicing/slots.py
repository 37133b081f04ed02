"""Slots as they stand recorded, and the lines that bring them to what is wanted.

A slot's delta is rate(total usage) − what stands billed, never rate(late usage alone). Pure: no Django, no clock.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from billing.invoicing.rated import Rated, SlotKey, SlotKind
from billing.invoicing.terms import StreamKey
from billing.periods import Period

LAST: Final = 1_000_000
"""The position of what belongs to no single charge."""
OFF: Final = frozenset({"coupon", "discount"})
"""Kinds of slots that come off the others, after all of them (R5.6)."""


MANUAL: Final = "manual"
"""How what was added by hand says what it is about: with its number (`manual.rules`)."""
CONCESSION: Final = "concession"
"""How a credit that was conceded says what it is about: with its number (`concessions.rules`)."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A recorded slot: the last revision's `desired`, and the line that it stands on."""

    slot_id: int
    kind: SlotKind
    stream: StreamKey
    cycle: Period
    desired: Decimal
    line_id: int
    charge_id: int | None
    name: str
    unit: str
    service: Period
    about: str = ""
    as_of: date | None = None
    """The day that its invoice was computed for."""

    @property
    def key(self) -> SlotKey:
        """What it is billed for, once."""
        return self.kind, self.stream, self.cycle, self.about

    @property
    def manual(self) -> bool:
        """Whether it was added by hand."""
        return self.kind == "one_off" and self.about.startswith(f"{MANUAL} ")

    @property
    def conceded(self) -> bool:
        """Whether it is a credit that somebody conceded."""
        return self.kind == "one_off" and self.about.startswith(f"{CONCESSION} ")


@dataclass(frozen=True, slots=True)
class SlotLine:
    """A line to draw up: the delta of a slot; one that corrects a line is an adjustment."""

    kind: SlotKind
    stream: StreamKey
    cycle: Period
    service: Period
    charge_id: int | None
    name: str
    position: int
    quantity: Decimal | None
    unit: str
    steps: list[dict[str, Any]]
    billed_before: Decimal
    desired: Decimal
    corrects: int | None = None
    about: str = ""
    tax_included: Decimal | None = None

    @property
    def amount(self) -> Decimal:
        """What this line bills."""
        return self.desired - self.billed_before

    @property
    def key(self) -> SlotKey:
        """What it bills, once."""
        return self.kind, self.stream, self.cycle, self.about


def slot_lines(desired: Iterable[Rated], recorded: Mapping[SlotKey, Standing], due: datetime) -> list[SlotLine]:
    """Desired − recorded for every slot whose cycle is complete.

    Usage that was never billed is billed, of zero too; anything else only where it is not zero.
    """
    lines: list[SlotLine] = []
    seen = set()
    for slot in desired:
        seen.add(slot.key)
        stands = recorded.get(slot.key)
        if stands.desired == slot.amount if stands else slot.kind != "usage" and not slot.amount:
            continue
        lines.append(_brought(slot, stands))
    for key, stands in recorded.items():
        if stands.kind in OFF or stands.manual or stands.conceded:
            continue
        complete = (stands.service if stands.about else stands.cycle).until <= due  # a term may have been cut short
        if complete and key not in seen and stands.desired != 0:  # no longer wanted: take all of it back
            lines.append(taken_back(stands))
    return lines


def discount_lines(desired: Iterable[Rated], recorded: Mapping[SlotKey, Standing], day: date) -> list[SlotLine]:
    """Desired − recorded of what coupons and discounts take off, as of a day.

    What was recorded as of a later day stands. A discount of a cycle that is only spread anew is not billed (R5.7).
    """
    groups: dict[tuple[SlotKind, Period, str], list[SlotLine]] = {}
    seen = set()
    for slot in desired:
        seen.add(slot.key)
        stands = recorded.get(slot.key)
        if slot.amount != (stands.desired if stands else 0) and not (stands and _later(stands, day)):
            groups.setdefault((slot.kind, slot.cycle, slot.about), []).append(_brought(slot, stands))
    for key, stands in recorded.items():
        if stands.kind in OFF and key not in seen and stands.desired != 0 and not _later(stands, day):
            groups.setdefault((stands.kind, stands.cycle, stands.about), []).append(taken_back(stands))
    return [line for lines in groups.values() if sum(line.amount for line in lines) for line in lines]


def _later(stands: Standing, day: date) -> bool:
    return stands.as_of is not None and stands.as_of > day


def _brought(slot: Rated, stands: Standing | None) -> SlotLine:
    """The line that brings a slot to what is wanted."""
    return SlotLine(
        kind=slot.kind, stream=slot.stream, cycle=slot.cycle, service=slot.service,
        charge_id=slot.charge.charge_id if slot.charge else None, name=slot.name,
        position=slot.charge.position if slot.charge else LAST,
        quantity=slot.quantity, unit=slot.unit, steps=slot.steps,
        billed_before=stands.desired if stands else Decimal(0), desired=slot.amount,
        corrects=stands.line_id if stands else None, about=slot.about, tax_included=slot.tax_included,
    )  # fmt: skip


def taken_back(stands: Standing) -> SlotLine:
    """The line that takes back all of a slot that is no longer wanted."""
    return SlotLine(
        kind=stands.kind, stream=stands.stream, cycle=stands.cycle, service=stands.service,
        charge_id=stands.charge_id, name=stands.name, position=0,
        quantity=Decimal(0) if stands.kind == "usage" else None,
        unit=stands.unit, steps=[], billed_before=stands.desired, desired=Decimal(0), corrects=stands.line_id,
        about=stands.about,
    )  # fmt: skip
