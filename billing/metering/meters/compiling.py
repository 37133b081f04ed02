"""Value expressions as SQL, exactly: `expressions.evaluate` is the reference, and both agree on every event.

A part of an expression is NULL where a property is missing and NaN where something else is wrong, which is how both
pass through arithmetic. What divides is kept as a ratio, a top over a positive bottom, and divided once, at the end: a
third times three is one. Parts that are used more than once are columns, each computed from those of the level below.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Final

from billing.metering.expressions import Literal, Node, Property
from billing.metering.meters.fragments import Fragment, join
from billing.metering.meters.properties import json_at, number_in
from billing.money import plain
from billing.pricing.exact import rendered

QUOTIENT_PLACES: Final = 60
"""Places to which a value that was divided is kept, half away from zero."""

_ONE: Final = Fragment("1::numeric")


@dataclass(frozen=True, slots=True)
class Part:
    """SQL over columns of its `level` and below; level 0 is the event itself. `atomic` is cheap to write twice."""

    text: Fragment
    level: int = 0
    atomic: bool = False


@dataclass(frozen=True, slots=True)
class Ratio:
    """The value of a node: `top` over `bottom`, which is 1 where there is none; never a bottom of 0 or below."""

    top: Part
    bottom: Part | None = None


def part(template: str, *parts: Part) -> Part:
    """SQL made of other parts."""
    return Part(join(template, *(each.text for each in parts)), max((each.level for each in parts), default=0))


class Compiler:
    """Turns the nodes of one expression into SQL, and gathers the columns that it needs."""

    def __init__(self) -> None:
        self._levels: list[list[tuple[str, Fragment]]] = []
        self._columns: dict[str, Part] = {}

    def value(self, node: Node) -> Fragment:
        """A number of at most 40 digits before the point; NULL where the event is invalid."""
        result = self.bind(self.quotient(self.ratio(node)))
        return self.select(join("CASE WHEN abs({}) < 1e40 THEN {} END", result.text, result.text))

    def select(self, result: Fragment) -> Fragment:
        """A subquery that computes the columns, level by level, and then the result from them."""
        if not self._levels:
            return join("(SELECT {})", result)
        source = Fragment("")
        for columns in self._levels:
            names = ", ".join(f"{{}} AS {name}" for name, _ in columns)
            carried, origin = ("s.*, ", " FROM ({}) s") if source.sql else ("", "{}")
            source = join(f"SELECT {carried}{names}{origin} OFFSET 0", *(text for _, text in columns), source)
        return join("(SELECT {} FROM ({}) s)", result, source)

    def bind(self, given: Part) -> Part:
        """The part as a column, computed once however often it is used."""
        if given.atomic:
            return given
        key = f"{given.text.sql} {given.text.values!r}"
        if key not in self._columns:
            name = f"v{len(self._columns)}"
            self._levels.extend([] for _ in range(given.level + 1 - len(self._levels)))
            self._levels[given.level].append((name, given.text))
            self._columns[key] = Part(Fragment(name), given.level + 1, atomic=True)
        return self._columns[key]

    def bound(self, node: Node) -> Ratio:
        """The node's value, in columns."""
        ratio = self.ratio(node)
        return Ratio(self.bind(ratio.top), self.bind(ratio.bottom) if ratio.bottom else None)

    def ratio(self, node: Node) -> Ratio:
        """The node's value."""
        if isinstance(node, Literal):
            return Ratio(Part(Fragment("%s::numeric", (plain(rendered(node.value)),)), atomic=True))
        if isinstance(node, Property):
            return Ratio(self.number(node))
        match node.function, node.arguments:
            case "coalesce", arguments:
                return self._coalesce([self.bound(argument) for argument in arguments])
            case "min" | "max" as function, arguments:
                return self._extreme(function, [self.bound(argument) for argument in arguments])
            case "-", [one]:
                return self._negative(self.ratio(one))
            case "+" | "-" as operator, [left, right]:
                return self._sum(operator, self.ratio(left), self.ratio(right))
            case "*", [left, right]:
                return self._product(self.ratio(left), self.ratio(right))
            case "/", [left, right]:
                return self._division(self.ratio(left), self.bound(right))
            case function, [one]:
                return self._whole(function, self.ratio(one))
        raise AssertionError(f"the grammar has no {node.function}")

    def json(self, node: Property) -> Part:
        """What the event holds there."""
        return self.bind(Part(json_at(node.names)))

    def number(self, node: Property) -> Part:
        """The number that the event holds there: NULL when missing, NaN when it is none."""
        json = self.json(node)
        number = Part(number_in(json.text), json.level)
        template = "coalesce({}, CASE WHEN coalesce(jsonb_typeof({}), 'null') <> 'null' THEN 'NaN'::numeric END)"
        return part(template, number, json)

    def quotient(self, ratio: Ratio) -> Part:
        """The number itself, to 60 places, half away from zero, where it was divided."""
        if ratio.bottom is None:
            return ratio.top
        top, bottom = self.bind(ratio.top), self.bind(ratio.bottom)
        scale = QUOTIENT_PLACES
        rounded = f"trim_scale(sign({{}}) * div(2e{scale} * abs({{}}) + {{}}, 2 * {{}}) * 1e-{scale})"
        return part(rounded, top, top, bottom, bottom)

    def _coalesce(self, arguments: Sequence[Ratio]) -> Ratio:
        """The first argument that misses no property, else the last."""
        top = part(f"coalesce({_slots(arguments)})", *(each.top for each in arguments))
        if all(each.bottom is None for each in arguments):
            return Ratio(top)
        cases = [piece for each in arguments for piece in (each.top, each.bottom or Part(_ONE))]
        template = f"CASE {'WHEN {} IS NOT NULL THEN {} ' * len(arguments)}END"
        return Ratio(top, part(template, *cases))

    def _extreme(self, function: str, arguments: Sequence[Ratio]) -> Ratio:
        """The least or the greatest; NaN counts as greater than any number, hence the signs."""
        if any(each.bottom for each in arguments):
            return reduce(partial(self._farther, function), arguments)
        sign = "-" if function == "min" else ""
        tops = [each.top for each in arguments]
        slots = ", ".join([f"{sign}({{}})"] * len(tops))
        template = f"CASE WHEN num_nulls({_slots(tops)}) = 0 THEN {sign}greatest({slots}) END"
        return Ratio(part(template, *tops, *tops))

    def _farther(self, function: str, one: Ratio, other: Ratio) -> Ratio:
        """The lesser or the greater of two ratios, found over the bottom that they share."""
        tops = [Ratio(self.bind(self._over(one, other))), Ratio(self.bind(self._over(other, one)))]
        return Ratio(self._extreme(function, tops).top, self._common(one, other))

    def _negative(self, one: Ratio) -> Ratio:
        return Ratio(part("-({})", one.top), one.bottom)

    def _sum(self, operator: str, left: Ratio, right: Ratio) -> Ratio:
        bottom = self._common(left, right)
        return Ratio(part(f"({{}} {operator} {{}})", self._over(left, right), self._over(right, left)), bottom)

    def _product(self, left: Ratio, right: Ratio) -> Ratio:
        return Ratio(part("({} * {})", left.top, right.top), self._common(left, right))

    def _division(self, left: Ratio, right: Ratio) -> Ratio:
        """Upside down, with the sign on top, and NaN below in place of zero."""
        top = self._over(left, right)
        bottom = part("abs(CASE WHEN {} = 0 THEN 'NaN' ELSE {} END)", right.top, right.top)
        signed = part("({} * sign({}))", top, right.top)
        return Ratio(signed, self.bind(part("({} * {})", bottom, left.bottom) if left.bottom else bottom))

    def _whole(self, function: str, one: Ratio) -> Ratio:
        """Rounded to a whole number, up (ceil) or down (floor)."""
        if one.bottom is None:
            return Ratio(part(f"{function}({{}})", one.top))
        sign = "-" if function == "ceil" else ""
        top, bottom = self.bind(part(f"{sign}({{}})", one.top)), self.bind(one.bottom)
        template = f"{sign}div({{}} - mod(mod({{}}, {{}}) + {{}}, {{}}), {{}})"
        return Ratio(part(template, top, top, bottom, bottom, bottom, bottom))

    def _over(self, one: Ratio, other: Ratio) -> Part:
        """The top of a ratio over a bottom that it shares with another."""
        return part("({} * {})", one.top, self.bind(other.bottom)) if other.bottom else one.top

    def _common(self, one: Ratio, other: Ratio) -> Part | None:
        """The bottom that two ratios share."""
        if one.bottom and other.bottom:
            return self.bind(part("({} * {})", self.bind(one.bottom), self.bind(other.bottom)))
        return one.bottom or other.bottom


def _slots(pieces: Sequence[object]) -> str:
    return ", ".join(["{}"] * len(pieces))
