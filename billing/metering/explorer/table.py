"""Quantities as a table: a row for each window, a column for each customer or value, and what may be added up.

Only quantities that add up are ever added (R2.3): others have no “other” column and no total of windows; their whole
period is asked for by itself.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Final

from billing.metering import queries
from billing.metering.asking import Quantity
from billing.metering.explorer import activity
from billing.metering.explorer.presets import window_label
from billing.metering.models import Meter
from billing.metering.queries import UsageRow
from billing.metering.windows import Window, split
from billing.money import EXACT
from billing.periods import Period

MAX_ROWS: Final = 800
"""Windows that a page shows: a month of hours."""

MAX_QUESTIONS: Final = 20_000
"""Customers × windows that one page asks for."""

MANY: Final = 1000
"""Above as many customers, only the busiest are compared on a page; the file has all of them."""

BUSIEST: Final = 50

Key = tuple[int, str | None]
"""A column: the customer (0: all that were asked for) and the value of the dimension."""

Cells = dict[datetime | None, dict[Key, Quantity]]
"""Quantities by the beginning of a window (None: the whole period) and by column."""


@dataclass(frozen=True)
class Asked:
    """What is asked of the explorer. `by` is the property to group by, empty for customers."""

    meter: Meter
    customer_ids: tuple[int, ...]
    everyone: bool
    period: Period
    window: Window
    timezone: str
    by: str
    top: int

    @property
    def additive(self) -> bool:
        """Whether quantities of customers, values and windows may be added."""
        return adds_up(self.meter)

    @property
    def windows(self) -> list[Period]:
        """The windows of the period, in order; TooManyWindows."""
        return split(self.period, self.window, self.timezone)

    @cached_property
    def compared(self) -> tuple[int, ...]:
        """The customers that a page looks at: all, or of very many those with most events."""
        if len(self.customer_ids) <= MANY or self.by:
            return self.customer_ids
        first, last = self.period.start.date(), self.period.until.date()
        return tuple(activity.busiest(self.meter.event_type, first, last, BUSIEST))

    @property
    def dimensions(self) -> tuple[str, ...]:
        """What to group by, as `quantities` takes it."""
        return (self.by,) if self.by else ()

    @property
    def shared(self) -> bool:
        """Whether a column is a value of the property, whoever used it."""
        return bool(self.by) and self.additive

    def key(self, row: UsageRow) -> Key:
        """The column of an answer: values of several customers share one only where they can be added."""
        if not self.by:
            return row.customer_id, None
        alone = self.shared or len(self.customer_ids) == 1
        return (0 if alone else row.customer_id), row.dimensions[0]

    def rows(self, customer_ids: Iterable[int], window: Window | None, *, together: bool = False) -> list[UsageRow]:
        """Quantities of these customers, each or all together."""
        return queries.quantities(
            customer_ids=customer_ids, meters=[self.meter], period=self.period, dimensions=self.dimensions,
            window=window, timezone=self.timezone, together=together,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One window: a quantity for each column, what the other columns have together, and all of them."""

    period: Period
    label: str
    cells: tuple[Quantity, ...]
    other: Quantity | None
    total: Quantity | None
    invalid: int


@dataclass(frozen=True, slots=True)
class Table:
    """The answer: columns by size, rows by time. `other` and `total` are None where nothing may be added."""

    keys: tuple[Key, ...]
    rows: tuple[Row, ...]
    totals: tuple[Quantity, ...]
    other: Quantity | None
    total: Quantity | None
    others: int
    """How many columns are not shown."""
    other_by_window: bool
    """Whether the rows know what the others have, which is not asked for with thousands of them."""


def adds_up(meter: Meter) -> bool:
    """Whether a meter's quantities may be added: not what is carried from window to window, nor what was rounded."""
    return meter.aggregation in ("count", "sum") and not meter.recurring and meter.rounding is None


def added(quantities: Iterable[Quantity]) -> Quantity:
    """Quantities that add up, added exactly."""
    value, events, invalid = Decimal(0), 0, 0
    for each in quantities:
        value, events, invalid = EXACT.add(value, each.value), events + each.events, invalid + each.invalid
    return Quantity(value, events, invalid)


def too_much(asked: Asked) -> str:
    """Why a question is too large for a page, with the way out; empty when it is not."""
    windows = len(asked.windows)
    if windows > MAX_ROWS:
        return (
            f"{windows:,} windows are more than a page shows ({MAX_ROWS}): choose a longer window or a shorter period."
        )
    if asked.by and windows * len(asked.customer_ids) > MAX_QUESTIONS:
        return (
            f"{len(asked.customer_ids):,} customers by {asked.by} and by {asked.window} are too many for one page: "
            "choose customers, or a longer window."
        )
    return ""


def table_of(asked: Asked) -> Table:
    """Ask for the whole period first, which says who is largest; then for the windows of those that are shown.

    Values that all customers share are asked for once, by window, and added.
    """
    shared = _merged(asked, asked.rows(asked.compared, asked.window, together=True)) if asked.shared else {}
    totals = _summed(shared) if asked.shared else _merged(asked, asked.rows(asked.compared, None)).get(None, {})
    everybody = len(asked.compared) == len(asked.customer_ids)
    adds = asked.additive and everybody
    ranked = sorted(totals, key=lambda key: (-abs(totals[key].value), key[0], key[1] is None, key[1] or ""))
    shown, rest = ranked[: asked.top], ranked[asked.top :]
    cells, complete = (shared, True) if asked.shared else _cells(asked, shown, rest)
    rows = [_row(asked, piece, shown, cells.get(piece.start, {}), complete) for piece in asked.windows]
    return Table(
        keys=tuple(shown), rows=tuple(rows), totals=tuple(totals[key] for key in shown),
        other=added(totals[key] for key in rest) if adds and rest else None,
        total=added(totals.values()) if adds else None, others=len(rest), other_by_window=complete,
    )  # fmt: skip


def _cells(asked: Asked, shown: Sequence[Key], rest: Sequence[Key]) -> tuple[Cells, bool]:
    """Quantities by window and column, and whether all columns are among them."""
    if asked.by:
        some = {customer or asked.customer_ids[0] for customer, _ in shown}
        return _merged(asked, asked.rows(some, asked.window)), False
    ids = tuple(customer for customer, _ in shown)
    everybody = len(asked.compared) == len(asked.customer_ids)
    complete = asked.additive and everybody and len(rest) * len(asked.windows) <= MAX_QUESTIONS
    if complete:
        ids += tuple(customer for customer, _ in rest)
    return _merged(asked, asked.rows(ids, asked.window)), complete


def _merged(asked: Asked, rows: Iterable[UsageRow]) -> Cells:
    """Answers by window and column; those that share a column are added, which happens only where it is right."""
    found: Cells = defaultdict(dict)
    for row in rows:
        key, column = asked.key(row), found[row.start]
        column[key] = added([column[key], row.quantity]) if key in column else row.quantity
    return found


def _summed(cells: Cells) -> dict[Key, Quantity]:
    """Every column's total over all windows."""
    found: dict[Key, list[Quantity]] = defaultdict(list)
    for columns in cells.values():
        for key, quantity in columns.items():
            found[key].append(quantity)
    return {key: added(quantities) for key, quantities in found.items()}


def _row(asked: Asked, piece: Period, shown: Sequence[Key], here: Mapping[Key, Quantity], complete: bool) -> Row:
    other = added(quantity for key, quantity in here.items() if key not in shown) if complete else None
    return Row(
        period=piece, label=window_label(piece.start, asked.window, asked.timezone),
        cells=tuple(here.get(key, Quantity()) for key in shown), other=other,
        total=added(here.values()) if complete else None,
        invalid=sum(quantity.invalid for quantity in here.values()),
    )  # fmt: skip
