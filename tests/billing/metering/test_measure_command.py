"""The command measure: cases in, answers out, each error with its path, and no database."""

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from billing.metering.cases import measure_case, read_json
from billing.metering.definitions import parse_meter
from billing.metering.errors import DefinitionError

PAGE = Path(__file__).resolve().parents[3] / "docs/formats.md"
METER = {"aggregation": "sum", "value": "tokens"}
EVENT = {"id": "a", "time": "2026-01-05T10:00:00Z", "data": {"tokens": 12}}
CASE = {"id": 7, "meter": METER, "events": [EVENT], "period": ["2026-01-01", "2026-02-01"]}


def run(tmp_path: Path, text: str) -> tuple[Any, int]:
    """The answers to the cases in a file, and the exit status."""
    path = tmp_path / "cases.json"
    path.write_text(text)
    out, status = io.StringIO(), 0
    try:
        call_command("measure", str(path), stdout=out)
    except SystemExit as exit_:
        status = int(exit_.code or 0)
    return json.loads(out.getvalue()), status


def test_it_works(tmp_path: Path) -> None:
    answers, status = run(tmp_path, json.dumps([CASE]))
    counted = {"id": "a", "counted": True, "value": "12", "reason": None}
    assert answers == [{"id": 7, "quantity": "12", "cells": [], "events": [counted]}]
    assert status == 0


def test_the_example_on_the_formats_page_is_what_the_command_answers(tmp_path: Path) -> None:
    section = PAGE.read_text().split("## `manage.py measure FILE`")[1]
    cases, answers = re.findall(r"^```json\n(.*?)^```", section, re.MULTILINE | re.DOTALL)[:2]
    assert run(tmp_path, cases) == (json.loads(answers), 0)


def test_standard_input_is_read_for_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(json.dumps([CASE]).encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    out = io.StringIO()
    call_command("measure", "-", stdout=out)
    assert json.loads(out.getvalue())[0]["quantity"] == "12"


def test_a_wrong_case_does_not_keep_the_others_from_being_measured(tmp_path: Path) -> None:
    wrong = {**CASE, "id": "wrong", "meter": {**METER, "value": "tokens +"}}
    answers, status = run(tmp_path, json.dumps([wrong, CASE]))
    assert status == 1
    message = "At character 9: the end stands where a number, a property or '(' is needed."
    error = {"code": "invalid_expression", "message": message, "path": "meter.value"}
    assert answers[0] == {"id": "wrong", "error": error}
    assert answers[1]["quantity"] == "12"


def test_numbers_in_data_are_exact(tmp_path: Path) -> None:
    numbers = ["0.1", "0.2", "1e-30", "NaN", "-Infinity", "1e99999999999999999999", "1" * 5000, '"3"']
    events = ", ".join(
        f'{{"id": "{place}", "time": "2026-01-05T10:00:00Z", "data": {{"tokens": {number}}}}}'
        for place, number in enumerate(numbers)
    )
    answers, status = run(tmp_path, json.dumps([{**CASE, "events": []}]).replace("[]", f"[{events}]", 1))
    assert answers[0]["quantity"] == "3.300000000000000000000000000001"
    assert [event["counted"] for event in answers[0]["events"]] == [True] * 3 + [False] * 4 + [True]
    assert status == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "holds no list"),
        ("[1,", "is no JSON at line 1"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_a_file_that_holds_no_cases_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run(tmp_path, text)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        call_command("measure", str(tmp_path / "none.json"))
    latin = tmp_path / "latin.json"
    latin.write_bytes(b'["\xe9"]')
    with pytest.raises(CommandError, match="not UTF-8 at byte 2"):
        call_command("measure", str(latin))


@pytest.mark.parametrize(
    ("change", "code", "path"),
    [
        ({"period": None}, "invalid_period", "period"),
        ({"period": ["2026-01-01"]}, "invalid_period", "period"),
        ({"period": ["2026-01-01", "2026-01-01"]}, "invalid_period", "period"),
        ({"period": ["2026-02-01", "2026-01-01"]}, "invalid_period", "period"),
        ({"period": ["2026-02-30", "2026-03-01"]}, "invalid_time", "period[0]"),
        ({"period": ["2026-01-01", 5]}, "invalid_time", "period[1]"),
        ({"period": ["2026-01-01T00:00:00", "2026-02-01"]}, "time_without_zone", "period[0]"),
        ({"period": ["0001-01-01", "2026-02-01"]}, "invalid_time", "period[0]"),
        ({"period": ["2026-01-01", "9999-12-31"]}, "invalid_time", "period[1]"),
        ({"full_period": ["2026-01-01", "2026-01-31"]}, "invalid_period", "full_period"),
        ({"timezone": "Mars/Olympus"}, "unknown_timezone", "timezone"),
        ({"timezone": ["UTC"]}, "unknown_timezone", "timezone"),
        ({"zone": "UTC"}, "unknown_key", "zone"),
        ({"events": {}}, "not_a_list", "events"),
        ({"events": [EVENT, 5]}, "not_an_object", "events[1]"),
        ({"events": [{**EVENT, "subject": "acme"}]}, "unknown_key", "events[0].subject"),
        ({"events": [{**EVENT, "id": None}]}, "invalid_id", "events[0].id"),
        ({"events": [{"id": "a", "data": {}}]}, "missing_key", "events[0].time"),
        ({"events": [{**EVENT, "time": "yesterday"}]}, "invalid_time", "events[0].time"),
        ({"events": [{**EVENT, "time": "2026-01-05T10:00:00"}]}, "time_without_zone", "events[0].time"),
        ({"events": [{**EVENT, "data": [1]}]}, "not_an_object", "events[0].data"),
        ({"meter": 5}, "not_an_object", "meter"),
    ],
)
def test_what_is_wrong_with_a_case_is_said_with_its_path(change: dict[str, Any], code: str, path: str) -> None:
    answer = measure_case(CASE | change)
    assert (answer["id"], answer["error"]["code"], answer["error"]["path"]) == (7, code, path)
    assert answer["error"]["message"].endswith(".")


def test_a_case_that_is_no_object_or_lacks_a_key_is_refused() -> None:
    assert measure_case(5)["error"]["code"] == "not_an_object"
    for key in ("meter", "events", "period"):
        answer = measure_case({name: value for name, value in CASE.items() if name != key})
        assert (answer["error"]["code"], answer["error"]["path"]) == ("missing_key", key)


def test_bounds_may_be_instants_and_dates_are_those_of_the_zone() -> None:
    event = {**EVENT, "time": "2025-12-31T23:30:00Z"}
    assert measure_case(CASE | {"events": [event], "timezone": "Europe/Berlin"})["quantity"] == "12"
    assert measure_case(CASE | {"events": [event]})["quantity"] == "0"
    instants = ["2025-12-31T23:30:00Z", "2026-01-01T00:00:00+00:00"]
    assert measure_case(CASE | {"events": [event], "period": instants})["quantity"] == "12"


SEATS = {"aggregation": "unique_count", "value": "user", "recurring": True, "prorate": True}


@pytest.mark.parametrize(
    ("text", "code", "path"),
    [
        ("{}", "missing_key", "meter.aggregation"),
        ('{"aggregation": "median"}', "invalid_choice", "meter.aggregation"),
        ('{"aggregation": "count", "unit": "call"}', "unknown_key", "meter.unit"),
        ('{"aggregation": "count", "value": "n"}', "not_allowed", "meter.value"),
        ('{"aggregation": "sum"}', "missing_key", "meter.value"),
        ('{"aggregation": "sum", "value": 5}', "invalid_expression", "meter.value"),
        ('{"aggregation": "sum", "value": "n n"}', "invalid_expression", "meter.value"),
        ('{"aggregation": "count", "filters": []}', "not_an_object", "meter.filters"),
        ('{"aggregation": "count", "filters": {"region": []}}', "invalid_filter", "meter.filters.region"),
        ('{"aggregation": "count", "filters": {"region": null}}', "invalid_filter", "meter.filters.region"),
        ('{"aggregation": "count", "filters": {"n": [1, NaN]}}', "invalid_filter", "meter.filters.n"),
        ('{"aggregation": "count", "filters": {"a..b": 1}}', "invalid_path", "meter.filters.a..b"),
        ('{"aggregation": "count", "group_by": "model"}', "not_a_list", "meter.group_by"),
        ('{"aggregation": "count", "group_by": ["a", "a"]}', "not_allowed", "meter.group_by[1]"),
        ('{"aggregation": "count", "group_by": [["a"]]}', "invalid_path", "meter.group_by[0]"),
        ('{"aggregation": "count", "group_by": ["a", "b", "c", "d", "e", "f"]}', "out_of_range", "meter.group_by"),
        ('{"aggregation": "sum", "value": "n", "operation": "op"}', "not_allowed", "meter.operation"),
        ('{"aggregation": "unique_count", "value": "n", "operation": 5}', "invalid_path", "meter.operation"),
        ('{"aggregation": "count", "recurring": "yes"}', "invalid_choice", "meter.recurring"),
        ('{"aggregation": "count", "recurring": true, "prorate": true}', "not_allowed", "meter.prorate"),
        ('{"aggregation": "sum", "value": "n", "prorate": true}', "not_allowed", "meter.prorate"),
        ('{"aggregation": "count", "rounding": "up"}', "not_an_object", "meter.rounding"),
        ('{"aggregation": "count", "rounding": {"mode": "even"}}', "invalid_choice", "meter.rounding.mode"),
        ('{"aggregation": "count", "rounding": {"places": 1.5}}', "invalid_number", "meter.rounding.places"),
        ('{"aggregation": "count", "rounding": {"places": "0.5"}}', "invalid_number", "meter.rounding.places"),
        ('{"aggregation": "count", "rounding": {"places": 13}}', "out_of_range", "meter.rounding.places"),
        ('{"aggregation": "count", "rounding": {"digits": 2}}', "unknown_key", "meter.rounding.digits"),
    ],
)
def test_a_meter_is_read_strictly(text: str, code: str, path: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        parse_meter(read_json(text))
    assert (caught.value.code, caught.value.path) == (code, path)


def test_a_filter_may_name_one_value_and_numbers_with_a_point() -> None:
    definition = {"aggregation": "count", "filters": {"size": read_json("1.50")}}
    event = {**EVENT, "data": {"size": read_json("1.5")}}
    assert measure_case(CASE | {"meter": definition, "events": [event]})["quantity"] == "1"


def test_seats_are_prorated_by_the_full_period() -> None:
    events = [{"id": "a", "time": "2025-06-01T00:00:00Z", "data": {"user": "alice"}}]
    changed = {"meter": SEATS, "events": events, "period": ["2026-04-16", "2026-05-01"]}
    assert measure_case(CASE | changed)["quantity"] == "1"
    assert measure_case(CASE | changed | {"full_period": ["2026-04-01", "2026-05-01"]})["quantity"] == "0.5"


WORDS = [
    *CASE,
    *SEATS,
    "filters",
    "group_by",
    "operation",
    "rounding",
    "mode",
    "places",
    "n",
    "",
    "up",
    "UTC",
    "tokens",
]
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.decimals(), st.sampled_from(WORDS), st.text(max_size=5),
    st.sampled_from(["2026-01-01", "2026-01-05T10:00:00Z", "9999-12-31", "1969-12-31T23:59:59-23:59"]),
)  # fmt: skip
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(WORDS), inner, max_size=3)),
    max_leaves=6,
)
full_meter = {**SEATS, "operation": "op", "rounding": {"mode": "up", "places": 1}, "group_by": ["n"], "filters": {}}


@given(
    st.sampled_from([*CASE, "timezone", "full_period"]), st.sampled_from([*full_meter, "id", "time", "data"]), anything
)
def test_whatever_a_case_holds_it_is_answered(key: str, inner: str, value: Any) -> None:
    changed: dict[str, Any] = {**CASE, key: value}
    event = {**EVENT, inner: value} if inner in EVENT else EVENT
    changed_meter = {**full_meter, inner: value} if inner in full_meter else METER
    for case in (changed, {**CASE, "events": [event]}, {**CASE, "meter": changed_meter}):
        answer = measure_case(case)
        assert set(answer) in ({"id", "quantity", "cells", "events"}, {"id", "error"})
        assert json.loads(json.dumps(answer, default=str))


@given(st.dictionaries(st.sampled_from(["tokens", "user", "op", "n"]), anything))
def test_whatever_an_event_holds_it_is_counted_or_told_why_not(data: dict[str, Any]) -> None:
    for meter in (METER, full_meter):
        [event] = measure_case({**CASE, "meter": meter, "events": [{**EVENT, "data": data}]})["events"]
        assert event["counted"] is (event["reason"] is None)
