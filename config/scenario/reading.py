"""What was found while a file is read: problems with the path to each, and names that are defined and referred to."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at a place of a file, with the way out."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def _nowhere(kind: str, name: str) -> bool:
    return False


@dataclass(slots=True)
class Reading:
    """What was found while a file is read: problems, and the names that it defines, by their kind.

    `outside` says whether a thing of that kind and name is known besides what the file defines.
    """

    outside: Callable[[str, str], bool] = _nowhere
    problems: list[Problem] = field(default_factory=list)
    names: dict[str, list[str]] = field(default_factory=dict)

    def wrong(self, path: str, message: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(path, message))

    def define(self, kind: str, name: str, path: str) -> None:
        """Note that the file has a thing of that name, once."""
        known = self.names.setdefault(kind, [])
        if name in known:
            self.wrong(path, f"There is a {kind} “{name}” already; choose another name.")
        known.append(name)

    def refer(self, kind: str, name: str, path: str) -> None:
        """Note a problem unless there is such a thing."""
        known = self.names.get(kind, [])
        if name not in known and not self.outside(kind, name):
            self.wrong(path, f"There is no {kind} “{name}”{suggestion(name, known)}; {listing(kind, known)}.")


def suggestion(name: str, known: Iterable[str]) -> str:
    """“, did you mean x?” in words for what was perhaps meant; "" where nothing is near."""
    near = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean “{near[0]}”?)" if near else ""


def listing(kind: str, known: Sequence[str]) -> str:
    """What there is of a kind: “there are a and b”."""
    if not known:
        return f"the file has no {kind} up to here"
    shown = ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
    return f"there {'is' if len(known) == 1 else 'are'} {shown}"


def shown(value: Any) -> str:
    """A value as a message says it, cut where it is long."""
    if isinstance(value, Decimal):
        return f"the number {value}"
    text = {True: "true", False: "false", None: "null"}.get(value) if isinstance(value, bool | None) else None
    text = text or repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
