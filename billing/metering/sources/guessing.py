"""What a file most likely means, read off its first lines: its delimiter, and what each column is.

A guess is only a proposal: a person looks at it before anything is imported. Pure: no Django, no database, no clock.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

DELIMITERS: Final = (",", ";", "\t", "|")
ROLES: Final = ("time", "subject", "type", "id", "property", "none")

_WORDS: Final = {
    "time": (
        "time", "timestamp", "datetime", "ts", "event_time", "occurred_at", "happened_at", "date_time", "created_at",
        "usage_time", "start_time", "started_at", "zeitpunkt", "when", "date", "at",
    ),
    "subject": (
        "subject", "customer", "customer_id", "customerid", "account", "account_id", "org", "org_id", "organization",
        "organization_id", "tenant", "tenant_id", "user", "user_id", "project", "project_id", "client", "client_id",
        "external_customer_id", "external_subscription_id", "kunde", "who",
    ),
    "type": ("type", "event_type", "eventtype", "event", "event_name", "code", "metric"),
    "id": (
        "id", "event_id", "eventid", "uuid", "transaction_id", "request_id", "idempotency_key", "message_id", "row_id",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """What a column becomes: its role, and for a property its name and kind (as `DataColumn` has them)."""

    role: str
    name: str = ""
    kind: str = "auto"


def sniff_delimiter(lines: Sequence[str]) -> str:
    """The delimiter that cuts most of the lines into as many cells as the first one, and into more than one."""

    def score(delimiter: str) -> tuple[int, int]:
        try:
            widths = [len(cells) for cells in csv.reader(lines, delimiter=delimiter) if cells]
        except csv.Error:
            return 0, 0
        if not widths or widths[0] < 2:
            return 0, 0
        return sum(width == widths[0] for width in widths), widths[0]

    return max(DELIMITERS, key=score)  # of equals the first, which is the comma


def guess(header: Sequence[str]) -> list[Column]:
    """What each column most likely is, by its name alone; each role but `property` is given once."""
    plain = [_plain(name) for name in header]
    taken: dict[int, str] = {}
    for role, words in _WORDS.items():
        free = (plain.index(word) for word in words if word in plain and plain.index(word) not in taken)
        if (place := next(free, None)) is not None:
            taken[place] = role
    return [
        Column(taken[place]) if place in taken else Column("property", property_name(name))
        for place, name in enumerate(header)
    ]


def remembered(header: Sequence[str], mapping: dict[str, Any]) -> list[Column]:
    """What each column was in an earlier mapping, as JSON has it; a column that it does not name becomes nothing."""
    roles = {column: role for role, column in mapping.get("columns", {}).items()}
    data = {each["column"]: (name, each.get("kind", "auto")) for name, each in mapping.get("data", {}).items()}
    found = []
    for column in header:
        if column in roles:
            found.append(Column(roles[column]))
        elif column in data:
            found.append(Column("property", *data[column]))
        else:
            found.append(Column("none", property_name(column)))
    return found


def property_name(column: str) -> str:
    """A property's name for a column: no points, which meters read as a path."""
    return column.strip().replace(".", "_")


def _plain(name: str) -> str:
    """A column's name in small letters and underscores: “Event Time (UTC)” is “event_time”, “eventTime” too."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", re.sub(r"\(.*?\)", "", name))
    return re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_")
