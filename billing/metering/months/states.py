"""The states of a month of events, and the moves between them. Pure: no Django."""

from enum import StrEnum
from typing import Final


class MonthState(StrEnum):
    LIVE = "live"
    EXPORTED = "exported"
    DETACHED = "detached"

    @property
    def label(self) -> str:
        """For people."""
        return self.value.capitalize()


MOVES: Final[dict[str, dict[MonthState, str]]] = {
    "export": {MonthState.LIVE: "Export", MonthState.EXPORTED: "Export again"},
    "detach": {MonthState.EXPORTED: "Detach"},
    "restore": {MonthState.DETACHED: "Restore"},
}
"""Which states each verb starts from, and what its button says there."""
