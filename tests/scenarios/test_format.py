"""The format of scenario files: read strictly, described by a schema and a page that agree with the reader."""

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from config.scenario.errors import ScenarioError
from config.scenario.format import ACTIONS, schema
from config.scenario.read import read
from config.scenario.run import run
from config.scenario.shapes import Obj
from config.scenario.tell import in_words

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGE = (ROOT / "docs/scenarios.md").read_text()
BLOCKS = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)]
SCHEMA = json.loads((ROOT / "config/scenario/schema.json").read_text())
FREE = {"data", "value", "filters", "rounding", "prices", "price", "dimensions", "months"}
"""What a schema leaves to those who read it: prices, terms, and what is the user's own."""

pytestmark = pytest.mark.django_db


def problems_of(value: Any) -> list[str]:
    """What the reader says is wrong with a file."""
    try:
        read(json.dumps(value), "case.json")
    except ScenarioError as error:
        return [str(problem) for problem in error.problems]
    return []


def test_the_schema_is_what_the_reader_takes() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert json.loads(json.dumps(schema())) == SCHEMA, "run: manage.py scenario --schema > config/scenario/schema.json"


@pytest.mark.parametrize("file", sorted(HERE.glob("*.json")), ids=lambda file: file.stem)
def test_every_scenario_follows_the_schema(file: Path) -> None:
    assert list(Draft202012Validator(SCHEMA).iter_errors(json.loads(file.read_text()))) == []


def places(value: Any, path: str = "$") -> Iterator[tuple[str, list[str | int]]]:
    """Every object of a file whose keys are the format's: how messages name it, and the way to it."""

    def walk(each: Any, path: str, way: list[str | int]) -> Iterator[tuple[str, list[str | int]]]:
        if isinstance(each, dict):
            yield path, way
            for key, inner in each.items():
                if key not in FREE:
                    yield from walk(inner, f"{path}.{key}", [*way, key])
        elif isinstance(each, list):
            for place, inner in enumerate(each):
                yield from walk(inner, f"{path}[{place}]", [*way, place])

    yield from walk(value, path, [])


@pytest.mark.parametrize("name", ["monthly_fee_and_usage_in_arrears", "own_tier_factor_and_allowance"])
def test_an_unknown_key_is_refused_anywhere_by_reader_and_schema(name: str) -> None:
    good = json.loads((HERE / f"{name}.json").read_text())
    found = list(places(good))
    assert len(found) > 12
    for path, way in found:
        bad = deepcopy(good)
        inner: Any = bad
        for part in way:
            inner = inner[part]
        inner["zzz"] = 1
        assert any("zzz" in problem and problem.startswith(path) for problem in problems_of(bad)), path
        assert not Draft202012Validator(SCHEMA).is_valid(bad), path


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"custmers": []}, "$.custmers: did you mean customers?"),
        ({"steps": [{"usage": {"subjct": "a"}}]}, "$.steps[0].usage.subjct: did you mean subject?"),
        ({"steps": [{"pay": {"contract": "K-2"}}]}, "There is no contract “K-2” (did you mean “K-1”?); there is K-1."),
        ({"steps": [{"bil": {}}]}, "There is no step “bil” (did you mean “bill”?)"),
        ({"steps": [{"bill": {}, "issue": {}}]}, "$.steps[0]: This has bill and issue; make a step of each."),
        ({"steps": [{"at": "2026-02-30", "bill": {}}]}, "$.steps[0].at: '2026-02-30' is no day or time that exists."),
        ({"steps": [{"at": "1 March", "bill": {}}]}, "write one as 2026-01-31, or an instant with its zone"),
        ({"steps": [{"change": {"quantity": 1.5}}]}, "$.steps[0].change.quantity"),
        ({"steps": [{"undo_term": {"term": "gone"}}]}, "There is no term “gone”; the file has no term up to here."),
        ({"steps": [{"usage": {"every": "P1D", "data": {}}}]}, "$.steps[0].usage.from: This is missing"),
        ({"steps": [{"close": {"month": "January"}}]}, "$.steps[0].close.month: 'January' is no month"),
        ({"contracts": [{"number": "K-1"}]}, "$.contracts[0].start: This is missing"),
        (
            {"meters": [{"code": "m", "event_type": "e", "aggregation": "sum"}]},
            "$.meters[0].value: The value is missing",
        ),
        ({"customers": [{"id": "a"}, {"id": "a"}]}, "$.customers[1].id: There is a customer “a” already"),
    ],
)
def test_what_is_wrong_is_named_with_its_path(change: dict[str, Any], problem: str) -> None:
    good: dict[str, Any] = {"customers": [{"id": "acme"}], "contracts": [{"number": "K-1", "start": "2026-01-01"}]}
    assert problems_of(good) == []
    assert any(problem in each for each in problems_of(good | change)), problems_of(good | change)


@pytest.mark.parametrize("text", ["", "[1", '{"about": 1, "about": 2}', '{"at": NaN}', "[" * 100_000, "[]", "3"])
def test_what_is_no_scenario_at_all_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        read(text, "case.json")
    assert str(caught.value).endswith(".")


def test_prices_and_terms_are_read_when_the_file_is() -> None:
    charge = {"code": "fee", "name": "Fee", "kind": "recurring", "prices": [{"model": "flat", "amont": "1"}]}
    plan = {"product": {"code": "p", "name": "P"}, "plan": {"code": "p", "name": "P"}, "charges": [charge]}
    (problem, *_) = problems_of({"plans": [plan]})
    assert problem.startswith("$.plans[0].charges[0].prices[0]"), problem
    term = {"kind": "factor", "from": "2026-01-01", "value": {"factr": "2"}}
    assert any("$.steps[0].set_term.value" in each for each in problems_of({"steps": [{"set_term": term}]}))


def test_what_the_product_refuses_before_the_first_step_has_its_path() -> None:
    file = {"customers": [{"id": "acme", "currency": "XXX"}]}
    with pytest.raises(ScenarioError, match=r"\$\.customers\[0\]: “XXX” is no active ISO 4217 currency"):
        run(read(json.dumps(file), "case.json"))


def test_a_clock_that_goes_back_is_refused() -> None:
    steps = [{"at": "2026-02-01", "ties": {}}, {"at": "2026-01-01", "ties": {}}]
    with pytest.raises(ScenarioError, match=r"\$\.steps\[1\]\.at: The clock stands at 2026-02-01"):
        run(read(json.dumps({"steps": steps}), "case.json"))


def test_the_example_of_the_page_happens_as_it_says() -> None:
    result = run(read(json.dumps(BLOCKS[0]), "page"))
    assert result.passed, "\n".join(in_words(result, whole=False))


@pytest.mark.parametrize("name", ACTIONS)
def test_the_page_has_every_step_with_its_keys_and_an_example_that_works(name: str) -> None:
    section = PAGE.partition(f"\n### `{name}`\n")[2].partition("\n### ")[0].partition("\n## ")[0]
    shape: Any = ACTIONS[name].shape
    while not isinstance(shape, Obj) and hasattr(shape, "shape"):
        shape = shape.shape
    keys = [*(shape.keys if isinstance(shape, Obj) else []), *ACTIONS[name].answer]
    whole = PAGE if name in ("contract", "customer", "meter") else section  # whose keys stand with the file's
    assert [key for key in keys if f"`{key}`" not in whole] == []
    (steps,) = [json.loads(each) for each in re.findall(r"^```json\n(.*?)^```", section, re.MULTILINE | re.DOTALL)]
    assert any(name in step for step in steps)
    file = {key: value for key, value in BLOCKS[0].items() if key != "expect"} | {"steps": steps}
    assert list(Draft202012Validator(SCHEMA).iter_errors(file)) == []
    result = run(read(json.dumps(file), "page"))
    assert result.passed, "\n".join(in_words(result, whole=True))
