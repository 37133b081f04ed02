"""Value expressions: what a meter computes from the properties of one event, such as `input + 4 * output`.

A property is a name or a path (`tokens`, `usage.output`); a name with other characters stands in double quotes
(`"input-tokens"`; a double quote within it is written twice). There are decimal literals, + - * / with the usual
precedence, unary minus, parentheses, and `min`, `max`, `coalesce` (the first argument that is not missing), `ceil` and
`floor`. Computed exactly, and never by running the text as code. Pure: no Django, no database, no clock.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Any, Final

from billing.metering.properties import MAX_DEPTH, number_of, read
from billing.money import MAX_DIGITS

MAX_LENGTH: Final = 500
MAX_NESTING: Final = 30
FUNCTIONS: Final = {"min": None, "max": None, "coalesce": None, "ceil": 1, "floor": 1}
"""The functions, with how many arguments they take: None for one or more."""

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<number>[0-9]+(?:\.[0-9]+)?)
          |(?P<name>(?:[^\W\d]\w*|"(?:[^"\0]|"")+")(?:\.(?:\w+|"(?:[^"\0]|"")+"))*)
          |(?P<sign>[-+*/(),])
          |(?P<end>$))""",
    re.VERBOSE,
)
_PLAIN: Final = re.compile(r"[^\W\d]\w*")
_SEGMENT: Final = re.compile(r'"((?:[^"]|"")+)"|(\w+)')

DIVIDED_BY_ZERO: Final = "A division is by zero."
TOO_LARGE: Final = f"The value has more than {MAX_DIGITS} digits before the point."


class ExpressionError(ValueError):
    """A text that is no expression; `position` counts characters from 1, `message` says the way out."""

    def __init__(self, message: str, position: int) -> None:
        self.message = f"At character {position}: {message}"
        self.position = position
        super().__init__(self.message)


class NoValue(Exception):
    """An event that the expression can compute nothing from; `reason` says why (R1.3)."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class MissingProperty(NoValue):
    """An event that lacks a property which the expression needs; `coalesce` goes on to its next argument."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A number in the text."""

    value: Fraction


@dataclass(frozen=True, slots=True)
class Property:
    """A property of the event: the names on the way to it."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join(self.names)


@dataclass(frozen=True, slots=True)
class Call:
    """A function, or an operator (`+ - * /` with two arguments, `-` with one), and its arguments."""

    function: str
    arguments: tuple["Node", ...]


Node = Literal | Property | Call


def divides(node: Node) -> bool:
    """Whether a value may be a ratio that no decimal writes out, such as a third."""
    return isinstance(node, Call) and (node.function == "/" or any(map(divides, node.arguments)))


def parse(text: str) -> Node:
    """Read an expression; ExpressionError with the position of whatever does not belong there."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"the expression is longer than {MAX_LENGTH} characters; shorten it.", MAX_LENGTH + 1)
    parser = _Parser(_tokens(text))
    node = parser.sum()
    parser.expect_end()
    return node


def quoted(names: Sequence[str]) -> str:
    """The way to a property as an expression has it; names are quoted where they must be."""
    return ".".join(name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"' for name in names)


def evaluate(node: Node, data: dict[str, Any]) -> Fraction:
    """The value of the expression for an event's data, exactly.

    MissingProperty or NoValue, with the reason, where a property is missing or no number, a division is by zero, or the
    result has more than 40 digits before the point.
    """
    value = _evaluate(node, data)
    if abs(value) >= 10**MAX_DIGITS:
        raise NoValue(TOO_LARGE)
    return value


def _evaluate(node: Node, data: dict[str, Any]) -> Fraction:
    """The value of a part of an expression."""
    if isinstance(node, Literal):
        return node.value
    if isinstance(node, Property):
        return _property(node, data)
    if node.function == "coalesce":
        return _first_present(node, data)
    values = _values(node.arguments, data)
    match node.function, values:
        case "-", [one]:
            return -one
        case "+", [left, right]:
            return left + right
        case "-", [left, right]:
            return left - right
        case "*", [left, right]:
            return left * right
        case "/", [left, right]:
            if right == 0:
                raise NoValue(DIVIDED_BY_ZERO)
            return left / right
        case "min", _:
            return min(values)
        case "max", _:
            return max(values)
        case "ceil", _:
            return Fraction(ceil(values[0]))
    return Fraction(floor(values[0]))


def complaints(node: Property) -> tuple[str, str, str]:
    """What is said of a property that is missing, of one that is not a single value, and of one that is no number."""
    return (
        f"The property {node} is missing.",
        f"The property {node} is not a single value.",
        f"The property {node} is not a number of at most {MAX_DIGITS} digits.",
    )


def _values(arguments: tuple[Node, ...], data: dict[str, Any]) -> list[Fraction]:
    """The values of all arguments; that a property is missing is said before anything else that is wrong."""
    values: list[Fraction] = []
    problems: list[NoValue] = []
    for argument in arguments:
        try:
            values.append(_evaluate(argument, data))
        except NoValue as problem:
            problems.append(problem)
    if problems:
        raise next((each for each in problems if isinstance(each, MissingProperty)), problems[0])
    return values


def _property(node: Property, data: dict[str, Any]) -> Fraction:
    """The number that a property holds."""
    value = read(data, node.names)
    missing, compound, other = complaints(node)
    if value is None:
        raise MissingProperty(missing)
    if isinstance(value, dict | list):
        raise NoValue(compound)
    number = number_of(value)
    if number is None:
        raise NoValue(other)
    return number


def _first_present(node: Call, data: dict[str, Any]) -> Fraction:
    """The first argument of `coalesce` that misses no property; the last one's complaint when each does."""
    for argument in node.arguments[:-1]:
        try:
            return _evaluate(argument, data)
        except MissingProperty:
            continue
    return _evaluate(node.arguments[-1], data)


@dataclass(frozen=True, slots=True)
class _Token:
    """A piece of the text: its kind (number, name, sign, end), its characters, and where it begins, from 1."""

    kind: str
    text: str
    position: int


def _tokens(text: str) -> list[_Token]:
    """The pieces of the text, the last of kind `end`."""
    found: list[_Token] = []
    at = 0
    while not found or found[-1].kind != "end":
        match = _TOKEN.match(text, at)
        if match is None:
            position = at + len(text[at:]) - len(text[at:].lstrip())
            message = (
                f"{text[position]!r} means nothing here; write numbers as 0.5, and names with other characters than"
                ' letters, digits and _ in double quotes, such as "input-tokens".'
            )
            raise ExpressionError(message, position + 1)
        kind = match.lastgroup or "end"
        found.append(_Token(kind, match[kind], match.start(kind) + 1))
        at = match.end()
    return found


class _Parser:
    """Recursive descent over the tokens, one method for each level of precedence."""

    def __init__(self, tokens: list[_Token]) -> None:
        self.tokens = tokens
        self.nesting = 0

    def take(self, *signs: str) -> str | None:
        """The next token's text if it is one of these signs, which is then behind us."""
        token = self.tokens[0]
        if token.kind != "sign" or token.text not in signs:
            return None
        return self.tokens.pop(0).text

    def expect(self, sign: str) -> None:
        """Step over a sign that must come next."""
        token = self.tokens[0]
        if not self.take(sign):
            raise ExpressionError(f"{self._shown(token)} stands where {sign!r} is needed; add it.", token.position)

    def expect_end(self) -> None:
        """Refuse whatever follows a whole expression."""
        token = self.tokens[0]
        if token.kind != "end":
            message = f"{self._shown(token)} follows a whole expression; join the two by + - * or /."
            raise ExpressionError(message, token.position)

    def sum(self) -> Node:
        """Products, added and subtracted from left to right."""
        node = self.product()
        while operator := self.take("+", "-"):
            node = Call(operator, (node, self.product()))
        return node

    def product(self) -> Node:
        """Single values, multiplied and divided from left to right."""
        node = self.single()
        while operator := self.take("*", "/"):
            node = Call(operator, (node, self.single()))
        return node

    def single(self) -> Node:
        """A number, a property, a call, a part in parentheses, or the negative of one of them."""
        token = self.tokens[0]
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            message = f"the expression is nested more than {MAX_NESTING} deep; simplify it."
            raise ExpressionError(message, token.position)
        if self.take("-"):
            node: Node = Call("-", (self.single(),))
        elif self.take("("):
            node = self.sum()
            self.expect(")")
        else:
            node = self._word()
        self.nesting -= 1
        return node

    def _word(self) -> Node:
        """A number, a property or a call."""
        token = self.tokens[0]
        if token.kind not in ("number", "name"):
            message = f"{self._shown(token)} stands where a number, a property or '(' is needed."
            raise ExpressionError(message, token.position)
        self.tokens.pop(0)
        if token.kind == "number":
            return self._literal(token)
        if self.take("("):
            return self._call(token)
        names = tuple(quoted.replace('""', '"') or bare for quoted, bare in _SEGMENT.findall(token.text))
        if len(names) > MAX_DEPTH:
            message = f"the path {token.text} goes {len(names)} levels deep; at most {MAX_DEPTH} are read."
            raise ExpressionError(message, token.position)
        return Property(names)

    def _literal(self, token: _Token) -> Node:
        """A decimal of at most 40 digits."""
        if len(token.text.replace(".", "")) > MAX_DIGITS:
            message = f"the number has more than {MAX_DIGITS} digits; shorten it."
            raise ExpressionError(message, token.position)
        return Literal(Fraction(token.text))

    def _call(self, token: _Token) -> Node:
        """The arguments of a function whose name and parenthesis are behind us."""
        if token.text not in FUNCTIONS:
            message = f"{token.text!r} is no function; there are {', '.join(FUNCTIONS)}."
            raise ExpressionError(message, token.position)
        arguments = [self.sum()]
        while self.take(","):
            arguments.append(self.sum())
        self.expect(")")
        if FUNCTIONS[token.text] not in (None, len(arguments)):
            message = f"{token.text} takes one argument, and has {len(arguments)}; leave out the others."
            raise ExpressionError(message, token.position)
        return Call(token.text, tuple(arguments))

    @staticmethod
    def _shown(token: _Token) -> str:
        """A token as an error names it."""
        return "the end" if token.kind == "end" else repr(token.text)
