"""How a change takes effect: what becomes of unused time, of the new fee, of cycles and of usage (R4.4, R4.5).

Pure: no Django, no clock.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, get_args

Unused = Literal["credit", "none"]
Fees = Literal["prorated", "full", "next_period"]
Anchor = Literal["", "kept", "change", "calendar"]
Tiers = Literal["", "restart", "prorate", "continue"]
Gauges = Literal["next_cycle", "share"]


@dataclass(frozen=True, slots=True)
class Options:
    """Each on its own; the defaults are what R4.4 and R4.5 say where nobody says otherwise.

    `unused` time of fees paid in advance; the new `fees` until the next boundary; the `anchor` of cycles ("": kept,
    but a change of cadence restarts them); `tiers` and allowances over the change ("": continue when only prices
    change); `gauges`, the meters whose parts cannot be added.
    """

    unused: Unused = "credit"
    fees: Fees = "prorated"
    anchor: Anchor = ""
    tiers: Tiers = ""
    gauges: Gauges = "next_cycle"

    def to_json(self) -> dict[str, str]:
        """What is not the default, by name."""
        return {
            name: value for name in NAMES if (value := getattr(self, name)) != _DEFAULTS[name]
        }  # fmt: skip


ALLOWED: Final[dict[str, tuple[str, ...]]] = {
    "unused": get_args(Unused), "fees": get_args(Fees), "anchor": get_args(Anchor), "tiers": get_args(Tiers),
    "gauges": get_args(Gauges),
}  # fmt: skip
"""The values of each option, the default first."""
NAMES: Final = tuple(field.name for field in fields(Options))
DEFAULT: Final = Options()
_DEFAULTS: Final = {name: values[0] for name, values in ALLOWED.items()}


def read_options(given: Mapping[str, Any]) -> Options:
    """Options from their JSON; ValueError names what is unknown and what there is."""
    for name, value in given.items():
        if name not in ALLOWED:
            raise ValueError(f"A change has no option “{name}”: there are {', '.join(NAMES)}.")
        if value not in ALLOWED[name]:
            known = ", ".join(f"“{each}”" for each in ALLOWED[name] if each)
            raise ValueError(f"{name} cannot be “{value}”: choose one of {known}.")
    return Options(**given)


def together(several: Iterable[Options]) -> Options:
    """The options of changes at one instant, whatever the order in which they were recorded.

    What is said wins over what is not; of two sayings, the one that stands last in the list of values.
    """
    given = list(several)
    chosen: dict[str, Any] = {
        name: max((getattr(each, name) for each in given), key=values.index, default=values[0])
        for name, values in ALLOWED.items()
    }
    return Options(**chosen)
