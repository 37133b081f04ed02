"""The examples on the pages about plans do what the pages say."""

import json
import re
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from billing.catalog.plan_diff import differences
from billing.catalog.plan_files import import_plan, plan_to_json, read_file, read_plan
from billing.catalog.plan_values import PlanFile
from tests.factories import make_meter

DOCS = Path(__file__).parents[3] / "docs"


def example() -> str:
    """The plan on the page of formats."""
    section = (DOCS / "formats.md").read_text().split("## A plan\n")[1].split("\n## ")[0]
    (block,) = re.findall(r"^```json\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return block


@pytest.mark.django_db
def test_the_plan_on_the_page_of_formats_is_imported_and_comes_back_the_same() -> None:
    make_meter()
    assert plan_to_json(import_plan(read_file(example()))) == json.loads(example())


@pytest.mark.django_db
def test_the_commands_on_the_page_of_plans_run_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_meter()
    monkeypatch.chdir(tmp_path)
    import_plan(read_file(example()))
    lines = re.findall(r"^python manage\.py (.*)$", (DOCS / "catalog.md").read_text(), re.MULTILINE)
    assert [line.split()[0] for line in lines] == ["export_plan", "import_plan", "import_plan"]
    out = StringIO()
    call_command(*lines[0].split(" > ")[0].split(), stdout=out)
    Path("scale.json").write_text(out.getvalue().replace('"1000"', '"1100"'))
    said = StringIO()
    for line in lines[1:]:
        call_command(*line.split(), stdout=said)
    assert said.getvalue().count("from USD 1,000.00 a period to USD 1,100.00 a period") == 2
    assert "Scale v2 is a draft" in said.getvalue()


def test_the_differences_on_the_page_of_plans_are_said_so() -> None:
    def plan(amount: str, *currencies: str) -> PlanFile:
        fee = [{"model": "flat", "amount": "90", "currency": each} for each in currencies]
        price = {"model": "per_unit", "unit_amount": amount, "unit": {"divide_by": "1000000"}}
        usage = {"code": "input", "name": "Input tokens", "kind": "usage", "meter": "tokens", "prices": [price]}
        charges = [usage, {"code": "platform", "name": "Platform", "kind": "recurring", "prices": fee}]
        return read_plan(
            {"product": {"code": "a", "name": "A"}, "plan": {"code": "b", "name": "B"}, "charges": charges}
        )

    page = (DOCS / "catalog.md").read_text()
    said = differences(plan("3", "USD"), plan("2.50", "USD", "EUR"), {"tokens": "token"})
    assert [str(change) for change in said] == re.findall(r"^```text\n(.*?)\n```", page, re.M | re.DOTALL)[0].split(
        "\n"
    )
