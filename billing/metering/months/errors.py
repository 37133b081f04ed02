"""What can go wrong with a month of events; each message names the month and the way out."""

from collections.abc import Sequence
from pathlib import Path

from billing.metering.errors import MeteringError


class MonthError(MeteringError):
    """Base of what can go wrong with a month."""


class MonthDetached(MonthError):
    """Something needs the events of months that only lie in the archive: it is refused, and never counts zero."""

    def __init__(self, months: Sequence[str]) -> None:
        self.months = tuple(months)
        commands = " and ".join(f"“manage.py months restore {month}”" for month in months)
        super().__init__(
            f"The events of {', '.join(months)} are detached, and this needs them: restore first, with {commands}"
            " or in the admin under Months."
        )


class NoSuchMonth(MonthError):
    """A month that holds no events, or no month at all."""

    def __init__(self, month: str) -> None:
        super().__init__(f"There are no events of {month}: “manage.py months list” names the months there are.")


class MonthNotOver(MonthError):
    """A month that is still in use."""

    def __init__(self, month: str, verb: str, when: str) -> None:
        super().__init__(f"{month} cannot be {verb}ed before {when}: it is still in use.")


class MonthNotReady(MonthError):
    """A month whose state does not allow what was asked."""


class MonthBusy(MonthError):
    """Somebody else works on the month, or its table could not be had."""


class ArchiveDamaged(MonthError):
    """A file that is not the one that was exported."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"{path} {why}: nothing was changed. Put back the file as it was exported, from a backup of the archive."
        )
