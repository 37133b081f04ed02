"""What JSON may look like, said once: read strictly, with the path to every problem, and written as a JSON Schema.

Reading collects problems and goes on, so that a file's author hears of all of them; what is read is only used where
there were none. Names are defined and referred to: a reference to what is not there is a problem too.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Final

from billing.money import AmountError, parse_decimal
from config.scenario.reading import Reading, shown, suggestion

DAY: Final = r"^\d{4}-\d{2}-\d{2}$"
INSTANT: Final = r"^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?([Zz]|[+-]\d{2}:\d{2})$"


class Shape(ABC):
    """What a value may be: how it is read, and its JSON Schema."""

    @abstractmethod
    def read(self, value: Any, path: str, reading: Reading) -> Any:
        """The value as the program uses it; None after a problem was noted."""

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of what `read` takes; it may be looser than that."""


@dataclass(frozen=True, slots=True)
class Text(Shape):
    """A text; `defines` and `refers` make it the name of a thing of that kind."""

    longest: int = 1000
    pattern: str = ""
    example: str = ""
    defines: str = ""
    refers: str = ""
    empty: bool = False

    def read(self, value: Any, path: str, reading: Reading) -> str | None:
        """The text itself."""
        if not isinstance(value, str):
            reading.wrong(path, f"Write a text here, not {shown(value)}.")
            return None
        if (not value and not self.empty) or len(value) > self.longest:
            reading.wrong(path, f"Write a text of {0 if self.empty else 1} to {self.longest} characters here.")
            return None
        if self.pattern and not re.match(self.pattern, value):
            reading.wrong(path, f"{shown(value)} is not written as it should be, e.g. {self.example}.")
            return None
        if self.defines:
            reading.define(self.defines, value, path)
        if self.refers:
            reading.refer(self.refers, value, path)
        return value

    def schema(self) -> dict[str, Any]:
        """A string."""
        found: dict[str, Any] = {"type": "string"}
        if not self.empty:
            found["minLength"] = 1
        return found | ({"pattern": self.pattern} if self.pattern else {})


class Partly(str):
    """A text that the actual one has to contain."""


@dataclass(frozen=True, slots=True)
class Part(Shape):
    """A part of a sentence, to be found in the actual one."""

    def read(self, value: Any, path: str, reading: Reading) -> Partly | None:
        """The text."""
        text = Text().read(value, path, reading)
        return None if text is None else Partly(text)

    def schema(self) -> dict[str, Any]:
        """A string."""
        return Text().schema()


@dataclass(frozen=True, slots=True)
class Number(Shape):
    """A decimal: a string or an integer, never a number with a point."""

    minimum: int | None = None
    null: bool = False

    def read(self, value: Any, path: str, reading: Reading) -> Decimal | None:
        """The exact number."""
        if value is None and self.null:
            return None
        try:
            found = parse_decimal(value, path)
        except AmountError as error:
            reading.wrong(error.path, error.message)
            return None
        if self.minimum is not None and found < self.minimum:
            reading.wrong(path, f"{found} is too small; write {self.minimum} or more.")
        return found

    def schema(self) -> dict[str, Any]:
        """A string that is a decimal, or an integer."""
        found = [{"type": "string", "pattern": r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?$"}]
        return {"anyOf": [*found, {"type": "integer"}, *([{"type": "null"}] if self.null else [])]}


@dataclass(frozen=True, slots=True)
class Whole(Shape):
    """A whole number within bounds that include themselves."""

    minimum: int
    maximum: int

    def read(self, value: Any, path: str, reading: Reading) -> int | None:
        """The number."""
        if isinstance(value, bool) or not isinstance(value, int) or not self.minimum <= value <= self.maximum:
            reading.wrong(path, f"Write a whole number from {self.minimum} to {self.maximum}, not {shown(value)}.")
            return None
        return value

    def schema(self) -> dict[str, Any]:
        """An integer."""
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}


@dataclass(frozen=True, slots=True)
class Flag(Shape):
    """True or false."""

    def read(self, value: Any, path: str, reading: Reading) -> bool | None:
        """Which of them."""
        if not isinstance(value, bool):
            reading.wrong(path, f"Write true or false here, not {shown(value)}.")
            return None
        return value

    def schema(self) -> dict[str, Any]:
        """A boolean."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Choice(Shape):
    """One of some words."""

    words: tuple[str, ...]

    def read(self, value: Any, path: str, reading: Reading) -> str | None:
        """The word."""
        if value not in self.words:
            hint = suggestion(value, self.words) if isinstance(value, str) else ""
            reading.wrong(path, f"{shown(value)} is unknown{hint}; write {' or '.join(self.words)}.")
            return None
        return str(value)

    def schema(self) -> dict[str, Any]:
        """An enumeration."""
        return {"enum": list(self.words)}


@dataclass(frozen=True, slots=True)
class Moment(Shape):
    """A day `YYYY-MM-DD`, or, unless `days` only are taken, an instant with its zone."""

    days: bool = False
    null: bool = False

    def read(self, value: Any, path: str, reading: Reading) -> date | datetime | None:
        """A date, or an instant in UTC."""
        if value is None and self.null:
            return None
        try:
            if isinstance(value, str) and re.match(DAY, value):
                return date.fromisoformat(value)
            if isinstance(value, str) and not self.days and re.match(INSTANT, value):
                return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            reading.wrong(path, f"{shown(value)} is no day or time that exists.")
            return None
        instants = "" if self.days else ", or an instant with its zone as 2026-01-31T18:00:00Z"
        reading.wrong(path, f"{shown(value)} is no day; write one as 2026-01-31{instants}.")
        return None

    def schema(self) -> dict[str, Any]:
        """A string of that form."""
        forms = [{"type": "string", "pattern": DAY}]
        forms += [] if self.days else [{"type": "string", "pattern": INSTANT}]
        forms += [{"type": "null"}] if self.null else []
        return forms[0] if len(forms) == 1 else {"anyOf": forms}


@dataclass(frozen=True, slots=True)
class Month(Shape):
    """A month `YYYY-MM`."""

    def read(self, value: Any, path: str, reading: Reading) -> date | None:
        """Its first day."""
        try:
            if isinstance(value, str) and re.match(r"^\d{4}-\d{2}$", value):
                return date.fromisoformat(f"{value}-01")
        except ValueError:
            pass  # said below, as for what does not even look like one
        reading.wrong(path, f"{shown(value)} is no month; write one as 2026-01.")
        return None

    def schema(self) -> dict[str, Any]:
        """A string of that form."""
        return {"type": "string", "pattern": r"^\d{4}-\d{2}$"}


@dataclass(frozen=True, slots=True)
class Anything(Shape):
    """JSON that is read elsewhere, or that is the user's own; `kind` is its type in the schema, "" for any."""

    kind: str = "object"

    def read(self, value: Any, path: str, reading: Reading) -> Any:
        """The value as it is."""
        if self.kind == "object" and not isinstance(value, dict):
            reading.wrong(path, f'Write an object such as {{"key": "value"}} here, not {shown(value)}.')
        return value

    def schema(self) -> dict[str, Any]:
        """Whatever it is."""
        return {"type": self.kind} if self.kind else {}


@dataclass(frozen=True, slots=True)
class ListOf(Shape):
    """A list; with `single`, one value by itself is a list of it."""

    shape: Shape
    single: bool = False
    least: int = 0

    def read(self, value: Any, path: str, reading: Reading) -> list[Any] | None:
        """What it holds, in order."""
        if self.single and not isinstance(value, list):
            return [self.shape.read(value, path, reading)]
        if not isinstance(value, list):
            reading.wrong(path, f"Write a list here, not {shown(value)}.")
            return None
        if len(value) < self.least:
            reading.wrong(path, f"Write at least {self.least} here.")
        return [self.shape.read(each, f"{path}[{place}]", reading) for place, each in enumerate(value)]

    def schema(self) -> dict[str, Any]:
        """An array."""
        one = self.shape.schema()
        many: dict[str, Any] = {"type": "array", "items": one} | ({"minItems": self.least} if self.least else {})
        return {"anyOf": [many, one]} if self.single else many


@dataclass(frozen=True, slots=True)
class Either(Shape):
    """A text, or an object."""

    text: Shape
    other: Shape

    def read(self, value: Any, path: str, reading: Reading) -> Any:
        """As the one of the two that it is."""
        return (self.text if isinstance(value, str) else self.other).read(value, path, reading)

    def schema(self) -> dict[str, Any]:
        """One of them."""
        return {"anyOf": [self.text.schema(), self.other.schema()]}


@dataclass(frozen=True, slots=True)
class Values(Shape):
    """An object whose keys are the user's own: each has a value of one shape."""

    shape: Shape

    def read(self, value: Any, path: str, reading: Reading) -> dict[str, Any] | None:
        """The values by key."""
        if not isinstance(value, dict):
            reading.wrong(path, f"Write an object here, not {shown(value)}.")
            return None
        return {key: self.shape.read(each, f"{path}.{key}", reading) for key, each in value.items()}

    def schema(self) -> dict[str, Any]:
        """An object."""
        return {"type": "object", "additionalProperties": self.shape.schema()}


@dataclass(frozen=True, slots=True)
class Key:
    """A key of an object: what stands there, whether it must, and what it means."""

    shape: Shape
    about: str = ""
    needed: bool = False

    def schema(self) -> dict[str, Any]:
        """The shape's, described."""
        return self.shape.schema() | ({"description": self.about} if self.about else {})


Keys = Mapping[str, Key]


@dataclass(frozen=True, slots=True)
class Obj(Shape):
    """An object with known keys; every other is a problem, with what was perhaps meant. `name`: “a customer”.

    Keys are read in the order in which they are declared here: what defines a name stands before what refers to it.
    `then` looks at the whole once it is read.
    """

    name: str
    keys: Keys
    then: Callable[[dict[str, Any], str, Reading], None] | None = None

    def read(self, value: Any, path: str, reading: Reading) -> dict[str, Any] | None:
        """What is given, by key; keys that are left out are not there."""
        if not isinstance(value, dict):
            reading.wrong(path, f"Write {self.name} as an object here, not {shown(value)}.")
            return None
        for key in value:
            if key not in self.keys:
                hint = f"did you mean {near[0]}?" if (near := get_close_matches(key, self.keys, 1)) else ""
                reading.wrong(
                    f"{path}.{key}", hint or f"{self.name} has no such key; there are {', '.join(self.keys)}."
                )
        found = {}
        for name, key in self.keys.items():
            if name in value:
                found[name] = key.shape.read(value[name], f"{path}.{name}", reading)
            elif key.needed:
                reading.wrong(f"{path}.{name}", f"This is missing: {key.about or 'add it'}.")
        if self.then:
            self.then(found, path, reading)
        return found

    def schema(self) -> dict[str, Any]:
        """An object without other keys."""
        needed = [name for name, key in self.keys.items() if key.needed]
        found: dict[str, Any] = {"type": "object", "additionalProperties": False}
        found["properties"] = {name: key.schema() for name, key in self.keys.items()}
        return found | ({"required": needed} if needed else {})


def needs(shape: Shape, about: str = "") -> Key:
    """A key that must be there."""
    return Key(shape, about, needed=True)


def may(shape: Shape, about: str = "") -> Key:
    """A key that may be left out."""
    return Key(shape, about)
