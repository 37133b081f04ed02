"""The command rate: cases in, answers out, each error with its path, and no database."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from billing.pricing.cases import rate_case

PRICE = {"model": "per_unit", "unit_amount": "0.10"}
CASE = {"id": 7, "price": PRICE, "usage": {"quantity": "15"}}


def run(tmp_path: Path, text: str) -> tuple[Any, int]:
    """The answers to the cases in a file, and the exit status."""
    path = tmp_path / "cases.json"
    path.write_text(text)
    out, status = io.StringIO(), 0
    try:
        call_command("rate", str(path), stdout=out)
    except SystemExit as exit_:
        status = int(exit_.code or 0)
    return json.loads(out.getvalue()), status


def test_it_works(tmp_path: Path) -> None:
    answers, status = run(tmp_path, json.dumps([CASE]))
    step = {
        "label": "15 units at USD 0.10", "quantity": "15", "unit_amount": "0.1", "flat_amount": None, "amount": "1.5",
    }  # fmt: skip
    assert answers == [{"id": 7, "amount": "1.50", "unrounded": "1.5", "currency": "USD", "steps": [step]}]
    assert status == 0


def test_standard_input_is_read_for_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps([CASE]).encode())))
    out = io.StringIO()
    call_command("rate", "-", stdout=out)
    assert json.loads(out.getvalue())[0]["amount"] == "1.50"


def test_a_wrong_case_does_not_keep_the_others_from_being_rated(tmp_path: Path) -> None:
    wrong = {**CASE, "id": "wrong", "price": {"model": "matrix"}}
    answers, status = run(tmp_path, json.dumps([wrong, CASE]))
    assert answers[0]["error"]["path"] == "price.dimensions"
    assert (answers[0]["id"], answers[1]["amount"], status) == ("wrong", "1.50", 1)


def test_events_and_cells_are_usage(tmp_path: Path) -> None:
    card = {"model": "percentage", "rate": "1", "fixed_amount": "0.30"}
    matrix = {
        "model": "matrix",
        "dimensions": ["size", "region"],
        "cells": [{"when": {"size": "large", "region": "eu"}, "price": PRICE}],
        "default": card,
    }
    cells = [{"dimensions": {"region": "eu", "size": "large"}, "quantity": 5}]
    events = [{"amount": "5", "dimensions": {"region": "eu", "size": "large"}}, {"amount": "100"}]
    only_cell = matrix | {"default": None}
    answers, status = run(
        tmp_path,
        json.dumps([
            {"id": 1, "price": card, "usage": {"events": [{"amount": "50"}, {"amount": "150", "dimensions": {}}]}},
            {"id": 2, "price": only_cell, "usage": {"cells": cells}},
            {"id": 3, "price": matrix, "usage": {"events": events}},
        ]),
    )  # fmt: skip
    assert [answer["amount"] for answer in answers] == ["2.60", "0.50", "1.80"]
    assert status == 0


@pytest.mark.parametrize(
    ("case", "code", "path"),
    [
        (7, "not_an_object", ""),
        ({"usage": {"quantity": "1"}}, "missing_key", "price"),
        ({"price": PRICE}, "missing_key", "usage"),
        (CASE | {"note": ""}, "unknown_key", "note"),
        (CASE | {"usage": "1"}, "not_an_object", "usage"),
        (CASE | {"usage": {}}, "incomplete", "usage"),
        (CASE | {"usage": {"quantity": "1", "cells": []}}, "incomplete", "usage"),
        (CASE | {"usage": {"amount": "1"}}, "unknown_key", "usage.amount"),
        (CASE | {"usage": {"quantity": 1.5}}, "invalid_number", "usage.quantity"),
        (CASE | {"usage": {"quantity": "NaN"}}, "invalid_number", "usage.quantity"),
        (CASE | {"usage": {"events": {}}}, "not_a_list", "usage.events"),
        (CASE | {"usage": {"events": [{"amount": "1"}, {}]}}, "missing_key", "usage.events[1].amount"),
        (CASE | {"usage": {"events": [{"amount": "1", "id": 1}]}}, "unknown_key", "usage.events[0].id"),
        (CASE | {"usage": {"events": [{"amount": "1", "dimensions": {"a": 1}}]}}, "invalid_choice",
         "usage.events[0].dimensions.a"),
        (CASE | {"usage": {"cells": [{"quantity": "1"}]}}, "missing_key", "usage.cells[0].dimensions"),
        (CASE | {"usage": {"cells": []}}, "quantity_needed", "usage"),
        (CASE | {"price": {"model": "dynamic"}}, "events_needed", "usage"),
        (CASE | {"price": PRICE | {"custom_unit": {"code": "credits"}}}, "rate_needed", "price.custom_unit.rate"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_the_path(case: Any, code: str, path: str) -> None:
    error = rate_case(case)["error"]
    assert (error["code"], error["path"]) == (code, path)
    assert error["message"]


@pytest.mark.parametrize(
    ("text", "message"),
    [("{}", "holds no list"), ("[", "no JSON"), ("[" * 100_000, "nested too deep")],
)
def test_a_file_that_holds_no_cases_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run(tmp_path, text)


def test_a_number_of_endless_digits_is_an_error_of_its_case(tmp_path: Path) -> None:
    text = json.dumps([CASE]).replace('"15"', "9" * 5000)
    answers, status = run(tmp_path, text)
    assert (answers[0]["error"]["path"], status) == ("usage.quantity", 1)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["model", "tiers", "up_to", "rate", "unit", "quantity", "events", "cells", "when", "default"]),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip
named = st.sampled_from(["flat", "graduated", "percentage", "matrix", "dynamic", "stairstep"])


@given(
    st.dictionaries(st.sampled_from(["model", "tiers", "cells", "dimensions", "discounts"]), anything), named, anything
)
def test_whatever_comes_in_an_answer_comes_out(price: dict[str, Any], model: str, usage: Any) -> None:
    answer = rate_case({"id": 1, "price": price | {"model": model}, "usage": usage})
    assert answer.keys() >= {"amount"} or set(answer["error"]) == {"code", "message", "path"}
    json.dumps(answer)
