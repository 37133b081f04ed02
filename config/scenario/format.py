"""The whole file: its keys, its steps with one action each, what may be expected; and the JSON Schema of it all."""

from dataclasses import dataclass
from typing import Any, Final

from config.scenario.actions import Action
from config.scenario.acts import (
    agreements,
    billing,
    books,
    calendar,
    catalog,
    contracts,
    corrections,
    manual,
    questions,
    settling,
    taxes,
    usage,
)
from config.scenario.reading import Reading, listing, shown, suggestion
from config.scenario.sections import SECTIONS, ZONE
from config.scenario.shapes import Flag, Key, Keys, ListOf, Moment, Obj, Part, Shape, Text, may
from config.scenario.showing import ENTRY, INVOICE

ACTIONS: Final[dict[str, Action]] = {
    each.name: each
    for group in (
        usage.ACTIONS, catalog.ACTIONS, contracts.ACTIONS, calendar.ACTIONS, agreements.ACTIONS, manual.ACTIONS,
        billing.ACTIONS, settling.ACTIONS, corrections.ACTIONS, taxes.ACTIONS, books.ACTIONS, questions.QUESTIONS,
        settling.QUESTIONS, questions.RECORDS,
    )
    for each in group
}  # fmt: skip
ROWS: Final = {each.name: each for each in (*questions.QUESTIONS, *settling.QUESTIONS)}
"""Questions that stand in an `expect` as rows: what is asked, and what the answer is to be."""
SCHEMA: Final = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True, slots=True)
class Shared(Shape):
    """A shape that the schema has once, under a name."""

    name: str
    shape: Shape

    def read(self, value: Any, path: str, reading: Reading) -> Any:
        """As the shape."""
        return self.shape.read(value, path, reading)

    def schema(self) -> dict[str, Any]:
        """A reference to it."""
        return {"$ref": f"#/$defs/{self.name}"}


def _row(action: Action) -> Shape:
    keys = {**(action.params or {}), **action.answer}
    return ListOf(Obj(f"a row of {action.name}", keys), single=True)


_STATE: Final = {
    "invoices": Shared("invoices", ListOf(INVOICE)), "journal": Shared("journal", ListOf(ENTRY)),
    **{name: Shared(name, _row(action)) for name, action in ROWS.items()},
}  # fmt: skip
STATE: Final[Keys] = {
    "invoices": may(_STATE["invoices"], "in a step those that it made or changed, at the end all"),
    "journal": may(_STATE["journal"], "in a step the entries that it posted, at the end all"),
    **{name: may(_STATE[name], action.about) for name, action in ROWS.items()},
    "ties": may(Flag(), "whether the books tie with the documents"),
}
_ERROR: Final = {"error": may(Part(), "a part of the sentence with which it is refused")}


def expect_of(action: Action) -> Obj:
    """What may be expected of a step."""
    keys = action.answer if action.asks else {**STATE, **action.answer}
    return Obj(f"what is expected of {action.name}", {**_ERROR, **keys})


EXPECTED: Final = {name: expect_of(action) for name, action in ACTIONS.items()}
_COMMON: Final[dict[str, Key]] = {
    "at": may(Moment(), "what the clock shows; default as in the step before"),
    "about": may(Text(2000), "why the step is there"),
}


class StepShape(Shape):
    """A step: when, one action or question, and what is expected of it."""

    def read(self, value: Any, path: str, reading: Reading) -> dict[str, Any] | None:
        """`action` with its `args`, and what else is said."""
        if not isinstance(value, dict):
            reading.wrong(path, f"Write a step as an object here, not {shown(value)}.")
            return None
        said = [key for key in value if key in ACTIONS]
        for key in value:
            if key not in ACTIONS and key not in (*_COMMON, "expect"):
                near = suggestion(key, [*ACTIONS, *_COMMON, "expect"])
                reading.wrong(f"{path}.{key}", f"There is no step “{key}”{near}; {listing('step', list(ACTIONS))}.")
        if len(said) != 1:
            what = f"This has {' and '.join(said)}; make a step of each." if said else "Say what this step does."
            reading.wrong(path, what)
            return None
        name = said[0]
        found = {key: each.shape.read(value[key], f"{path}.{key}", reading) for key, each in _COMMON.items()
                 if key in value}  # fmt: skip
        found |= {"action": name, "args": ACTIONS[name].shape.read(value[name], f"{path}.{name}", reading)}
        if "expect" in value:
            found["expect"] = EXPECTED[name].read(value["expect"], f"{path}.expect", reading)
        return found

    def schema(self) -> dict[str, Any]:
        """One of the actions."""
        return {"oneOf": [self._one(action) for action in ACTIONS.values()]}

    def _one(self, action: Action) -> dict[str, Any]:
        keys = {**_COMMON, action.name: Key(action.shape, action.about, needed=True)}
        return Obj("a step", {**keys, "expect": may(EXPECTED[action.name])}).schema()


FILE: Final = Obj("a scenario", {
    "name": may(Text(200), "default the file's"),
    "about": may(Text(4000), "the business case, in words"),
    "at": may(Moment(), "what the clock shows at first; default the first step’s, or the earliest contract’s start"),
    "timezone": may(ZONE, "of the days at which steps are; default UTC"),
    **SECTIONS,
    "steps": may(ListOf(StepShape()), "in order of time"),
    "expect": may(Obj("what is expected at the end", STATE)),
})  # fmt: skip


def schema() -> dict[str, Any]:
    """The JSON Schema (Draft 2020-12) of a scenario file, as it stands in `schema.json`."""
    shared = {shape.name: shape.shape.schema() for shape in _STATE.values()}
    about = {"$schema": SCHEMA, "title": "A scenario of Meterbook", "description": "See docs/scenarios.md."}
    return {**about, **FILE.schema(), "$defs": shared}
