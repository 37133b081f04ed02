"""Sources, types and subjects as small numbers: a table each, remembered by the process.

A name is remembered only once the transaction that read or made it has committed: one that is rolled back leaves no
number behind that means nothing.
"""

from collections.abc import Iterable
from typing import Final

from django.db import connection, transaction

from billing.metering import waiting

MAX_REMEMBERED: Final = 500_000
"""Names of a kind that a process remembers; beyond that it forgets all and begins again."""


class Interned:
    """The numbers of one kind of name."""

    def __init__(self, table: str) -> None:
        self.table = table
        self._known: dict[str, int] = {}

    def numbers(self, names: list[str]) -> list[int]:
        """The number of each name in its place, as `resolve` finds them."""
        try:
            return list(map(self._known.__getitem__, names))
        except KeyError:
            found = self.resolve(names)
            return [found[name] for name in names]

    def resolve(self, names: Iterable[str]) -> dict[str, int]:
        """The number of each name, made where there is none yet: no query when all are remembered, else one to three.

        New names are inserted in order, so that two senders of the same new names wait for each other and do not
        deadlock.
        """
        wanted = set(names)
        known = self._known
        found = {name: known[name] for name in wanted if name in known}
        if len(found) == len(wanted):
            return found
        with transaction.atomic():
            waiting.limit()
            read = self._read(wanted - found.keys())
            missing = sorted(wanted - found.keys() - read.keys())
            if missing:
                self._insert(missing)
                read |= self._read(missing)  # also what another connection inserted in between
            transaction.on_commit(lambda: self._remember(read))
        return found | read

    def known(self, names: Iterable[str]) -> dict[str, int]:
        """The numbers of those names that have one; none is made. At most one query."""
        wanted = set(names)
        found = {name: self._known[name] for name in wanted if name in self._known}
        if len(found) == len(wanted):
            return found
        with transaction.atomic():
            read = self._read(wanted - found.keys())
            transaction.on_commit(lambda: self._remember(read))
        return found | read

    def forget(self) -> None:
        """Forget all numbers: for when the table was emptied."""
        self._known = {}

    def _remember(self, names: dict[str, int]) -> None:
        if len(self._known) + len(names) > MAX_REMEMBERED:
            self._known = {}
        self._known.update(names)

    def _read(self, names: Iterable[str]) -> dict[str, int]:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT name, id FROM {self.table} WHERE name = ANY(%s)", [list(names)])
            return dict(cursor.fetchall())

    def _insert(self, names: list[str]) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {self.table} (name) SELECT unnest(%s::text[]) ON CONFLICT (name) DO NOTHING", [names]
            )


sources: Final = Interned("metering_source")
types: Final = Interned("metering_type")
subjects: Final = Interned("metering_subject")


def forget() -> None:
    """Forget every name of every kind."""
    for kind in (sources, types, subjects):
        kind.forget()
