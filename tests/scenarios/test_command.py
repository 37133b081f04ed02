"""`manage.py scenario`: what it prints, how it ends, and that nothing stays."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from billing.invoicing.models import Invoice
from billing.metering.models import Meter
from customers.models import Customer, LegalEntity
from revenue.ledger.models import JournalEntry

GOOD = Path(__file__).parent / "monthly_fee_and_usage_in_arrears.json"

pytestmark = pytest.mark.django_db


def scenario(*files: object, **options: Any) -> tuple[int, str, str]:
    """Exit status, output and errors of the command."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("scenario", *map(str, files), stdout=out, stderr=err, **options)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue(), err.getvalue()
    except CommandError as error:
        return error.returncode, out.getvalue(), str(error)
    return 0, out.getvalue(), err.getvalue()


def changed(tmp_path: Path, **change: Any) -> Path:
    """The good file with other keys."""
    file = tmp_path / "case.json"
    file.write_text(json.dumps(json.loads(GOOD.read_text()) | change))
    return file


def test_it_works() -> None:
    assert scenario(GOOD) == (0, "✓ monthly_fee_and_usage_in_arrears: as expected (7 steps, 13 expectations)\n", "")


def test_nothing_stays() -> None:
    scenario(GOOD)
    for model in (Customer, LegalEntity, Meter, Invoice, JournalEntry):
        assert not model.objects.exists()


def test_what_is_not_as_expected_is_said_in_words_and_ends_with_1(tmp_path: Path) -> None:
    lines = [{"charge": "platform", "amount": "100.00"}, {"charge": "tokens", "amount": "32.00"}]
    steps = json.loads(GOOD.read_text())["steps"]
    steps[3]["expect"] = {"invoices": [{"total": "132.00", "lines": lines}]}
    status, output, _ = scenario(changed(tmp_path, steps=steps, expect={"revenue": {"months": {"2026-01": "132"}}}))
    assert status == 1
    assert "invoice 1 (SELLER-000002), total: expected 132.00, is 131.00" in output
    assert "invoice 1 (SELLER-000002), line 2 (K-1), amount: expected 32.00, is 31.00" in output
    assert "at the end\n    ≠ revenue, 2026-01: expected 132, is 131.00" in output


def test_a_refusal_that_nobody_expected_is_not_as_expected(tmp_path: Path) -> None:
    status, output, _ = scenario(changed(tmp_path, steps=[{"pay": {}}], expect={}))
    assert (status, "refusal: expected none, is “No issued invoice has anything open.”" in output) == (1, True)
    steps = [{"bill": {}, "expect": {"error": "no run"}}]
    status, output, _ = scenario(changed(tmp_path, steps=steps, expect={}))
    assert (status, "refusal: expected “…no run…”, is nothing" in output) == (1, True)


def test_a_file_that_is_wrong_ends_with_2_and_the_others_are_run(tmp_path: Path) -> None:
    status, output, errors = scenario(changed(tmp_path, custmers=[]), GOOD)
    assert status == 2
    assert "$.custmers: did you mean customers?" in errors
    assert "✓ monthly_fee_and_usage_in_arrears" in output


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_ends_with_2(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "case.json"
    if content is not None:
        file.write_bytes(content)
    status, _, errors = scenario(file)
    assert (status, str(file) in errors) == (2, True)
    assert scenario()[0] == 2


def test_without_expectations_it_shows_what_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    file = json.loads(GOOD.read_text())
    file.pop("expect")
    for step in file["steps"]:
        step.pop("expect", None)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(file).encode())))
    status, output, _ = scenario("-")
    assert status == 0
    assert "invoice SELLER-000002 of K-1: USD 131.00 (issued)" in output
    assert "Tokens, 2026-01-01 to 2026-02-01" in output
    assert "1100 Accounts receivable: debit 131.00" in output


def test_json_has_all_results_and_is_the_same_each_time() -> None:
    status, output, _ = scenario(GOOD, json=True)
    (result,) = json.loads(output)
    assert (status, result["passed"], len(result["invoices"]), result["ties"]) == (0, True, 2, True)
    assert result["revenue"] == [
        {"entity": "seller", "currency": "USD", "months": {"2026-01": "131.00"}, "amount": "131.00"}
    ]
    assert [step["step"] for step in result["steps"]][:2] == ["bill", "usage"]
    assert scenario(GOOD, json=True)[1] == output


def test_the_schema_can_be_printed() -> None:
    assert json.loads(scenario(schema=True)[1])["$schema"].endswith("2020-12/schema")
