"""Every example of a price on the pages is run, and says what the page says."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from billing.pricing.cases import rate_case
from billing.pricing.parse import _READERS as READERS

DOCS = Path(__file__).resolve().parents[3] / "docs"
EXAMPLES = re.findall(r"^```json\n(.*?)^```\n\n```text\n(.*?)^```", (DOCS / "pricing.md").read_text(), re.M | re.S)


def shown(answer: dict[str, Any]) -> str:
    """An answer as the page prints it: a line a step, and the amount; or the error."""
    if "error" in answer:
        return "{path}: {message}\n".format(**answer["error"])
    steps: list[dict[str, str]] = answer["steps"]
    wide = max(len(step["label"]) for step in steps)
    lines = [f"{step['label']:<{wide}}  {step['amount']}" for step in steps]
    return "\n".join([*lines, f"{'=':<{wide}}  {answer['currency']} {answer['amount']}", ""])


@pytest.mark.parametrize(("case", "printed"), EXAMPLES)
def test_an_example_costs_what_the_page_says(case: str, printed: str) -> None:
    assert shown(rate_case(json.loads(case))) == printed


def test_the_page_shows_every_model() -> None:
    models = {json.loads(case)["price"]["model"] for case, _ in EXAMPLES}
    assert models == set(READERS)


def test_the_case_on_the_formats_page_is_answered_as_it_says() -> None:
    section = (DOCS / "formats.md").read_text().split("## `python manage.py rate FILE`")[1]
    cases, answers = re.findall(r"^```json\n(.*?)^```", section, re.M | re.S)[:2]
    assert [rate_case(case) for case in json.loads(cases)] == json.loads(answers)
