"""Why an event is invalid for a meter, as SQL: the sentences of `expressions.evaluate`, one for each event (R1.3)."""

from collections.abc import Sequence
from typing import Final

from billing.metering.expressions import DIVIDED_BY_ZERO, TOO_LARGE, Call, Literal, Node, Property, complaints
from billing.metering.meters.compiling import Compiler, Part, part
from billing.metering.meters.fragments import Fragment, join

_NOTHING: Final = Part(Fragment("NULL::text"), atomic=True)


def why_not_single(node: Property, json: Fragment) -> Fragment:
    """What is wrong with a property that holds no value that counts."""
    missing, compound, other = (_text(sentence).text for sentence in complaints(node))
    template = """CASE WHEN coalesce(jsonb_typeof({}), 'null') = 'null' THEN {}
                       WHEN jsonb_typeof({}) IN ('object', 'array') THEN {} ELSE {} END"""
    return join(template, json, missing, json, compound, other)


def why_no_number(node: Node) -> Fragment:
    """What is wrong with an event from which an expression can compute nothing."""
    compiler = Compiler()
    complaint = _complaint(compiler, node)
    return compiler.select(join("coalesce({}, {})", complaint.text, _text(TOO_LARGE).text))


def _text(sentence: str) -> Part:
    return Part(Fragment("%s::text", (sentence,)))


def _complaint(compiler: Compiler, node: Node) -> Part:
    """What is wrong with a part of the expression, as a column; NULL for nothing."""
    if isinstance(node, Literal):
        return _NOTHING
    if isinstance(node, Property):
        json, number = compiler.json(node), compiler.bind(compiler.number(node))
        wrong = Part(why_not_single(node, json.text), json.level)
        return compiler.bind(part("CASE WHEN {} = 'NaN' OR {} IS NULL THEN {} END", number, number, wrong))
    values = [compiler.bound(argument).top for argument in node.arguments]
    wrongs = [_complaint(compiler, argument) for argument in node.arguments]
    if node.function == "coalesce":
        return compiler.bind(_of_first("IS NOT NULL", values[:-1], wrongs[:-1], wrongs[-1]))
    return compiler.bind(_of_first("IS NULL", values, wrongs, _of_any(node, values, wrongs)))


def _of_first(test: str, values: Sequence[Part], wrongs: Sequence[Part], otherwise: Part) -> Part:
    """The complaint about the first argument whose value passes the test."""
    if not values:
        return otherwise
    pairs = [each for pair in zip(values, wrongs, strict=True) for each in pair]
    return part(f"CASE {f'WHEN {{}} {test} THEN {{}} ' * len(values)}ELSE {{}} END", *pairs, otherwise)


def _of_any(node: Call, values: Sequence[Part], wrongs: Sequence[Part]) -> Part:
    """The first complaint about any argument, else about what is done with them."""
    last = _NOTHING
    if node.function == "/":
        last = part("CASE WHEN {} = 0 THEN {} END", values[1], _text(DIVIDED_BY_ZERO))
    return part(f"coalesce({', '.join(['{}'] * (len(wrongs) + 1))})", *wrongs, last)
