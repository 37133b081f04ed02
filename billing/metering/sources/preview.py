"""The first rows of a table as they would be read, for the page on which its columns are named."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from billing.metering import validate
from billing.metering.csv_import import BadRow, Converter
from billing.metering.csv_mapping import from_mapping
from billing.metering.sources.tables import Table


@dataclass(frozen=True)
class Shown:
    """A row: the event that it would be, or why it would be none."""

    row: int
    time: datetime | None = None
    type: str = ""
    subject: str = ""
    id: str = ""
    data: str = ""
    problem: str = ""


def as_read(table: Table, mapping: dict[str, Any], now: datetime) -> list[Shown]:
    """The head of the table by this mapping, times in UTC."""
    convert = Converter(table.header, from_mapping(mapping, "The mapping"), table.epoch)
    return [_shown(number, cells, convert, now) for number, cells in table.head]


def samples(table: Table) -> list[str]:
    """For each column some of its first cells, to know it by."""
    found = []
    for place in range(len(table.header)):
        cells = [cells[place] for _, cells in table.head if isinstance(cells, list) and place < len(cells)]
        found.append(" · ".join(cell[:40] for cell in list(dict.fromkeys(filter(None, cells)))[:3]))
    return found


def _shown(number: int, cells: list[str] | str, convert: Converter, now: datetime) -> Shown:
    """One row, held against the same rules as at the import."""
    try:
        event = convert(number, cells)
    except BadRow as bad:
        return Shown(number, problem=bad.message)
    latest = now + timedelta(seconds=settings.USAGE_FUTURE_LIMIT_SECONDS)
    _, refused = validate.check_all([(0, event)], latest, has_default_source=True)
    if refused:
        return Shown(number, problem=refused[0].message)
    data = json.loads(bytes(event.data), parse_float=str, parse_int=str)
    listed = ", ".join(f"{name}: {value}" for name, value in data.items())
    time = event.time.astimezone(UTC) if event.time else None
    return Shown(number, time, event.type, event.subject, event.id, listed)
