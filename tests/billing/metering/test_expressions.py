"""Value expressions: what they compute, what they refuse, and why an event has no value."""

from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.metering.expressions import ExpressionError, MissingProperty, NoValue, Property, evaluate, parse

DATA: dict[str, Any] = {
    "input": 5,
    "output": Decimal("6.0"),
    "usage": {"output": "2.5", "steps": [7, 8]},
    "input-tokens": 11,
    "flag": True,
    "none": None,
    "word": "many",
    "zero": 0,
    "min": 3,
}


def value(text: str, data: dict[str, Any] = DATA) -> Fraction:
    return evaluate(parse(text), data)


def test_it_works() -> None:
    assert value("input + 4 * output") == 29


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("input", 5),
        ("usage.output", Fraction(5, 2)),
        ("usage.steps.1", 8),
        ('"input-tokens" * 2', 22),
        ('"usage"."output"', Fraction(5, 2)),
        ("0.1 + 0.2", Fraction(3, 10)),
        ("10 - 4 - 3", 3),
        ("2 * (input - -output)", 22),
        ("-input * 2", -10),
        ("1 / 3 * 3", 1),
        ("8 / 2 / 2", 2),
        ("min(input, output, 4.5)", Fraction(9, 2)),
        ("max(input, output)", 6),
        ("min + min(min, 1)", 4),  # a property may be named like a function
        ("ceil(input / 2) + floor(-0.5)", 2),
        ("coalesce(cached, none, cached + 1, input)", 5),
        ("coalesce(input, 1 / zero)", 5),  # what comes after the first is not looked at
        (" input\n", 5),
    ],
)
def test_expressions_are_computed_exactly(text: str, expected: Fraction) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("12.50", Fraction(25, 2)),
        ("-1e3", -1000),
        (".5", Fraction(1, 2)),
        (10**40 - 1, 10**40 - 1),
        (Decimal("1e-40"), Fraction(1, 10**40)),
        (Decimal("1.000") * 10**39, 10**39),
        (Decimal("0e-5000"), 0),
    ],
)
def test_numbers_of_at_most_40_digits_are_read_also_from_text(number: Any, expected: Fraction) -> None:
    assert value("n", {"n": number}) == expected


@pytest.mark.parametrize(
    "number",
    [
        True, False, "NaN", "Infinity", Decimal("NaN"), Decimal("-Infinity"), "", " 1", "1,000", "0x10", "١", "1_0",
        10**40, Decimal("1e999999"), Decimal("1e-41"), "1e99999", "9" * 81,
    ],
)  # fmt: skip
def test_anything_else_is_no_number(number: Any) -> None:
    with pytest.raises(NoValue, match=r"^The property n is not a number of at most 40 digits\.$"):
        value("n", {"n": number})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("cached", "The property cached is missing."),
        ("none", "The property none is missing."),
        ("word.length", "The property word.length is missing."),
        ("usage.steps.2", "The property usage.steps.2 is missing."),
        ("usage", "The property usage is not a single value."),
        ("word", "The property word is not a number of at most 40 digits."),
        ("coalesce(word, 1)", "The property word is not a number of at most 40 digits."),
        ("coalesce(cached, none)", "The property none is missing."),
        ("input / zero", "A division is by zero."),
        ("1 / (output - 6)", "A division is by zero."),
        ("9" * 40 + " * 10", "The value has more than 40 digits before the point."),
    ],
)
def test_an_event_without_a_value_is_told_why(text: str, reason: str) -> None:
    with pytest.raises(NoValue) as caught:
        value(text)
    assert caught.value.reason == reason


def test_only_what_is_missing_can_be_made_up_for() -> None:
    with pytest.raises(MissingProperty):
        value("input + cached")
    with pytest.raises(NoValue) as caught:
        value("coalesce(input / zero, 1)")
    assert not isinstance(caught.value, MissingProperty)


@pytest.mark.parametrize(
    ("text", "position", "hint"),
    [
        ("", 1, "the end stands where a number"),
        ("input +", 8, "the end stands where"),
        ("input + * 2", 9, "'\\*' stands where"),
        ("(input", 7, "the end stands where '\\)' is needed"),
        ("input)", 6, "follows a whole expression"),
        ("input output", 7, "join the two"),
        ("2e3", 2, "'e3' follows a whole expression"),
        (".5", 1, "write numbers as 0.5"),
        ("a ** 2", 4, "stands where"),
        ("a; b", 2, "means nothing here"),
        ('"open', 1, "double quotes"),
        ("round(a)", 1, "there are min, max, coalesce, ceil, floor"),
        ("__import__('os')", 12, "means nothing here"),
        ("ceil(a, b)", 1, "takes one argument, and has 2"),
        ("max()", 5, "stands where"),
        ("max(a,)", 7, "stands where"),
        ("+a", 1, "stands where"),
        ("a + " + "9" * 41, 5, "more than 40 digits"),
        ("a.b.c.d.e.f.g.h.i", 1, "9 levels deep"),
        ("(" * 31 + "a" + ")" * 31, 31, "nested more than 30 deep"),
        ("-" * 31 + "a", 31, "nested more than 30 deep"),
        ("a+" * 250 + "a", 501, "longer than 500 characters"),
    ],
)
def test_what_is_no_expression_is_refused_at_its_place(text: str, position: int, hint: str) -> None:
    with pytest.raises(ExpressionError, match=hint) as caught:
        parse(text)
    assert caught.value.position == position
    assert caught.value.message.startswith(f"At character {position}: ")


def test_the_longest_expressions_are_computed() -> None:
    assert value("a+" * 249 + "a", {"a": 1}) == 250
    assert value("(" * 29 + "a" + ")" * 29, {"a": 1}) == 1


def test_a_bare_property_is_known_as_one() -> None:
    assert parse("usage.output") == Property(("usage", "output"))


NAMES = {"a": Fraction(3, 2), "b": Fraction(-7), "c": Fraction(0), "d.e": Fraction(10**12)}
NESTED = {"a": Decimal("1.5"), "b": "-7", "c": 0, "d": {"e": 10**12}}
Written = tuple[str, Fraction | None]
"""A text, and its value computed apart from the parser; None where it divides by zero."""

literals = st.decimals(min_value=0, max_value=1000, places=2).map(lambda n: (format(n, "f"), Fraction(n)))
leaves: st.SearchStrategy[Written] = st.one_of(st.sampled_from(sorted(NAMES.items())), literals)


def combined(inner: st.SearchStrategy[Written]) -> st.SearchStrategy[Written]:
    def binary(operator: str, left: Written, right: Written, space: str) -> Written:
        text = f"({left[0]}){space}{operator}{space}({right[0]})"
        one, other = left[1], right[1]
        if one is None or other is None or (operator == "/" and other == 0):
            return text, None
        results = {"+": one + other, "-": one - other, "*": one * other}
        return text, results[operator] if operator in results else one / other

    def function(name: str, arguments: list[Written]) -> Written:
        text = f"{name}({', '.join(text for text, _ in arguments)})"
        values = [value for _, value in arguments if value is not None]
        if len(values) < len(arguments):
            return text, None
        return text, min(values) if name == "min" else max(values)

    def single(name: str, argument: Written) -> Written:
        results = {"ceil": lambda n: Fraction(ceil(n)), "floor": lambda n: Fraction(floor(n)), "-": lambda n: -n}
        return f"{name}({argument[0]})", None if argument[1] is None else results[name](argument[1])

    return st.one_of(
        st.builds(binary, st.sampled_from("+-*/"), inner, inner, st.sampled_from(["", " "])),
        st.builds(function, st.sampled_from(["min", "max"]), st.lists(inner, min_size=1, max_size=3)),
        st.builds(single, st.sampled_from(["ceil", "floor", "-"]), inner),
    )


@given(st.recursive(leaves, combined, max_leaves=8).filter(lambda written: len(written[0]) <= 400))
def test_any_expression_has_the_value_that_fractions_have(written: Written) -> None:
    text, expected = written
    if expected is None or abs(expected) >= 10**40:
        with pytest.raises(NoValue):
            value(text, NESTED)
    else:
        assert value(text, NESTED) == expected


@given(st.lists(st.tuples(st.sampled_from("+-*"), st.integers(0, 99)), max_size=12), st.integers(0, 99))
def test_precedence_is_that_of_arithmetic(parts: list[tuple[str, int]], first: int) -> None:
    text = str(first) + "".join(f" {operator} {number}" for operator, number in parts)
    groups: list[tuple[int, int]] = [(1, first)]  # sign and product of each group between + and -
    for operator, number in parts:
        if operator == "*":
            groups[-1] = (groups[-1][0], groups[-1][1] * number)
        else:
            groups.append((1 if operator == "+" else -1, number))
    assert value(text) == sum(sign * product for sign, product in groups)


@given(st.text(alphabet='ab1.,+-*/() "é\n', max_size=30))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    try:
        parse(text)
        position = 1
    except ExpressionError as error:
        position = error.position
    assert 1 <= position <= len(text) + 1
