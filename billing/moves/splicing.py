"""The intervals of a subscription as a row of changes of version: a move puts one in, its cancellation takes it out.

What a subscription binds is told by instants at which its version changes. A move adds such an instant; its version
holds until the next one that is known, which stands. Taken out again, the version before it goes on. That is why the
order in which moves of different days are scheduled or cancelled does not matter. Pure: no Django, no clock.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Row:
    """A current interval: `[start, end)` bound to a version, at a quantity. `id` 0 for one to be made."""

    id: int
    version: int
    quantity: Decimal
    start: datetime
    end: datetime | None

    def holds(self, at: datetime) -> bool:
        """Whether the instant lies in it."""
        return self.start <= at and (self.end is None or at < self.end)


@dataclass(frozen=True, slots=True)
class Splice:
    """Rows to supersede, and the rows that replace them; each of these says which row it continues."""

    old: tuple[Row, ...]
    new: tuple[tuple[Row, Row], ...]
    """(the row to make, the old row that it is a copy of)."""


def in_force(rows: Sequence[Row], at: datetime) -> Row | None:
    """The row that holds at an instant."""
    return next((row for row in rows if row.holds(at)), None)


def stretch(rows: Sequence[Row], at: datetime, stops: Collection[datetime] = ()) -> list[Row]:
    """The row that holds at an instant and those that follow it without a gap under the same version.

    It ends at the `stops`, where other moves are known to take over, to the same version perhaps.
    """
    found: list[Row] = []
    for row in sorted(rows, key=lambda each: each.start):
        if row.holds(at):
            found = [row]
        elif found and (found[-1].end, found[-1].version) == (row.start, row.version) and row.start not in stops:
            found.append(row)
    return found


def earlier_change(rows: Sequence[Row], at: datetime) -> int | None:
    """The version whose turn it is at `at` itself, as a change that stood there before; None where none does."""
    row = in_force(rows, at)
    if row is None or row.start != at:
        return None
    before = next((each for each in rows if each.end == at), None)
    return None if before and before.version == row.version else row.version


def put_in(rows: Sequence[Row], at: datetime, version: int, stops: Collection[datetime] = ()) -> Splice:
    """Bind `version` from `at` to the next change of version that is known. Nothing where nothing is in force then."""
    found = stretch(rows, at, stops)
    pairs = [(Row(0, row.version, row.quantity, row.start, at), row) for row in found if row.start < at]
    pairs += [(Row(0, version, row.quantity, max(row.start, at), row.end), row) for row in found]
    return Splice(tuple(found), tuple(pairs))


def take_out(
    rows: Sequence[Row], at: datetime, version: int, earlier: int | None, stops: Collection[datetime] = ()
) -> Splice | None:
    """Let what stood before `at` go on, where `version` took over then; None where it does so no more.

    `earlier` is what `earlier_change` said before the move; None lets the row before it go on.
    """
    found = stretch(rows, at, stops)
    if not found or found[0].version != version or found[0].start != at:
        return None
    before = next((row for row in rows if row.end == at), None)
    if earlier is not None:
        return Splice(tuple(found), tuple((replace(row, id=0, version=earlier), row) for row in found))
    if before is None:
        return None
    pairs = [(replace(row, id=0, version=before.version), row) for row in found]
    if before.quantity != found[0].quantity:
        return Splice(tuple(found), tuple(pairs))
    joined = replace(pairs[0][0], start=before.start)
    return Splice((before, *found), ((joined, before), *pairs[1:]))
