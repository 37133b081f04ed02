"""A plan goes out as a file and comes in as a draft, whole or not at all."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from billing.catalog.errors import NothingToImport, PlanFileError
from billing.catalog.models import Charge, ChargeCode, ChargePrice, Plan, PlanVersion, Product
from billing.catalog.plan_files import file_of, import_plan, plan_to_json, read_file, read_plan, unsaved_version
from billing.metering.meters.services import revise_meter
from tests.factories import NOW, fee, make_meter, make_version, usage

pytestmark = pytest.mark.django_db

FULL: dict[str, Any] = {
    "product": {"code": "api", "name": "API"},
    "plan": {"code": "scale", "name": "Scale"},
    "note": "Prices from July",
    "charges": [
        {"code": "platform", "name": "Platform", "kind": "recurring", "pay": "in_advance", "unit": "seat",
         "cadence": "P1Y", "proration": "none", "invoice_group": "Fees", "tax_code": "SAAS",
         "revenue_treatment": "ratable",
         "prices": [{"model": "flat", "currency": "EUR", "amount": "90"},
                    {"model": "flat", "currency": "USD", "amount": "100"}]},
        {"code": "tokens", "name": "Tokens", "kind": "usage", "meter": "tokens", "window": "day", "position": 7,
         "prices": [{"model": "graduated", "currency": "USD",
                     "tiers": [{"up_to": "1000", "unit_amount": "0.1"}, {"up_to": None, "unit_amount": "0.08"}]}]},
    ],
}  # fmt: skip


def changed(**charge: Any) -> dict[str, Any]:
    """The full plan with its second charge changed."""
    return FULL | {"charges": [FULL["charges"][0], FULL["charges"][1] | charge]}


def nothing_saved() -> bool:
    return not any(model.objects.exists() for model in (Product, Plan, PlanVersion, ChargeCode, Charge, ChargePrice))


def test_it_works() -> None:
    make_meter()
    version = import_plan(read_plan(FULL))
    assert (str(version), version.state, version.note) == ("Scale v1", "draft", "Prices from July")
    assert plan_to_json(version) == FULL


def test_a_version_as_it_is_sold_today_comes_back_the_same() -> None:
    version = make_version(fee(cadence="P1Y"), usage(), currencies=["USD", "EUR"])
    assert read_plan(plan_to_json(version)) == file_of(version)


def test_an_unsaved_version_says_the_same_and_keeps_codes_that_are_known() -> None:
    sold = make_version(fee(), usage())
    plan = read_plan(plan_to_json(sold) | {"note": "Tried"})
    made = unsaved_version(plan)
    assert (made.pk, made.number, made.note) == (None, 2, "Tried")
    assert [charge.code_id for charge in made.all_charges] == list(sold.charges.values_list("code", flat=True))
    assert file_of(made) == plan
    assert PlanVersion.objects.count() == 1


def test_ids_of_what_is_not_saved_are_below_zero_and_differ() -> None:
    make_meter()
    charges = unsaved_version(read_plan(FULL)).all_charges
    assert [(charge.pk, charge.code_id) for charge in charges] == [(-1, -1), (-2, -2)]
    assert nothing_saved()


def test_the_same_file_again_imports_nothing() -> None:
    make_meter()
    import_plan(read_plan(FULL))
    with pytest.raises(NothingToImport, match="Scale v1 has exactly these"):
        import_plan(read_plan(FULL | {"note": "Another"}))
    assert PlanVersion.objects.count() == 1
    assert str(import_plan(read_plan(changed(name="Usage")))) == "Scale v2"


def test_a_meter_that_was_revised_keeps_its_version_in_the_file() -> None:
    version = make_version(usage())
    meter = version.charges.get().meter
    revise_meter(meter=meter, changes={"value": "other"}, now=NOW)
    file = plan_to_json(version)
    assert file["charges"][0]["meter_version"] == 1
    made = import_plan(read_plan(file | {"charges": [file["charges"][0] | {"name": "Other"}]}))
    assert made.charges.get().meter == meter


@pytest.mark.parametrize(
    ("file", "path", "sentence"),
    [
        ([], "plan_file", "Write an object"),
        (FULL | {"extra": 1}, "plan_file.extra", "'extra' is no key of a plan file"),
        (FULL | {"plan": {"code": "scale"}}, "plan_file.plan.name", "'name' is missing"),
        (FULL | {"plan": {"code": "a b", "name": "x"}}, "plan_file.plan.code", "'a b' is no code"),
        (FULL | {"note": "x" * 201}, "plan_file.note", "This has 201 characters"),
        (FULL | {"note": "a\u0000b"}, "plan_file.note", "no plain line"),
        (FULL | {"charges": {}}, "plan_file.charges", "Write a list of objects"),
        (FULL | {"charges": [1]}, "plan_file.charges[0]", "Write an object"),
        (changed(meters="tokens"), "plan_file.charges[1].meters", "'meters' is no key of a charge"),
        (changed(kind="once"), "plan_file.charges[1].kind", "'once' is unknown; use recurring or usage"),
        (changed(kind=["usage"]), "plan_file.charges[1].kind", "is unknown"),
        (changed(pay="in_advance"), "plan_file.charges[1].pay", "Usage is paid in arrears"),
        (changed(kind="recurring"), "plan_file.charges[1].meter", "A recurring fee has no meter"),
        (changed(cadence="monthly"), "plan_file.charges[1].cadence", "'monthly' is no cadence"),
        (changed(window="week"), "plan_file.charges[1].window", "use hour or day"),
        (changed(position="1"), "plan_file.charges[1].position", "Write a whole number from 0"),
        (changed(position=True), "plan_file.charges[1].position", "Write a whole number from 0"),
        (changed(meter_version=0), "plan_file.charges[1].meter_version", "Write a whole number from 1"),
        (changed(code="platform"), "plan_file.charges", "'platform' stands 2 times"),
        (changed(prices={}), "plan_file.charges[1].prices", "Write a list of prices"),
        (changed(prices=[{"model": "flat", "amount": 1.5}]), "plan_file.charges[1].prices[0].amount", "1.5"),
        (changed(prices=[{"model": "flat", "amount": "1"}] * 2), "plan_file.charges[1].prices[1]", "already"),
        (changed(prices=[{"model": "per_unit", "unit_amount": "1", "tiers": []}]),
         "plan_file.charges[1].prices[0].tiers", "no key"),
        (changed(meter="nothing"), "plan_file.charges[1].meter", "There is no meter 'nothing'"),
        (changed(meter_version=3), "plan_file.charges[1].meter", "no meter 'tokens' in version 3"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_with_the_path_and_a_sentence(file: Any, path: str, sentence: str) -> None:
    make_meter()
    with pytest.raises(PlanFileError) as caught:
        import_plan(read_plan(file))
    assert [problem.path for problem in caught.value.problems] == [path]
    assert sentence in caught.value.problems[0].message
    assert nothing_saved()


def test_every_charge_names_its_own_problem() -> None:
    wrong = FULL | {"charges": [{"code": "a"}, FULL["charges"][1] | {"kind": "once"}, 5 * [1]]}
    with pytest.raises(PlanFileError) as caught:
        read_plan(wrong | {"charges": wrong["charges"][:2]})
    assert [each.path for each in caught.value.problems] == ["plan_file.charges[0].kind", "plan_file.charges[1].kind"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "This is not JSON"),
        ('{"plan": {"code": "a", "code": "b"}}', "code: This key stands twice"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_a_text_that_is_no_plan_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(PlanFileError, match=sentence):
        read_file(text)


def test_a_file_says_the_names_and_the_product_that_its_plan_has() -> None:
    make_version()
    file = plan_to_json(PlanVersion.objects.get())
    for part, path in (
        ({"plan": {"code": "pro", "name": "Other"}}, "plan_file.plan.name"),
        ({"product": {"code": "api", "name": "Other"}}, "plan_file.product.name"),
        ({"product": {"code": "new", "name": "New"}}, "plan_file.product.code"),
    ):
        with pytest.raises(PlanFileError) as caught:
            import_plan(read_plan(file | part))
        assert [problem.path for problem in caught.value.problems] == [path]
    assert Product.objects.count() == 1


def call(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def test_the_commands_write_a_file_and_read_it_again(tmp_path: Path) -> None:
    version = make_version(fee(), usage())
    text = call("export_plan", "pro", "--version", "1")
    assert json.loads(text) == plan_to_json(version)
    file = tmp_path / "pro.json"
    file.write_text(text.replace('"0.01"', '"0.02"'))
    said = call("import_plan", str(file), "--dry-run")
    assert said == "Pro v2, compared with Pro v1:\n  Tokens: from USD 0.01 per token to USD 0.02 per token\n"
    assert PlanVersion.objects.count() == 1
    assert "Pro v2 is a draft" in call("import_plan", str(file), "--note", "Dearer")
    assert PlanVersion.objects.get(number=2).note == "Dearer"


def test_a_new_plan_is_told_whole_before_it_is_imported(tmp_path: Path) -> None:
    make_meter()
    file = tmp_path / "scale.json"
    file.write_text(json.dumps(FULL))
    said = call("import_plan", str(file), "--dry-run")
    assert said.startswith("A new plan, Scale (scale), with 2 charges:\n  Platform: added, EUR 90.00 a period / USD")
    assert nothing_saved()


def test_the_commands_say_what_is_not_there(tmp_path: Path) -> None:
    make_version()
    with pytest.raises(CommandError, match="no plan “other”"):
        call("export_plan", "other")
    with pytest.raises(CommandError, match="has no version 4: it has 1"):
        call("export_plan", "pro", "--version", "4")
    with pytest.raises(CommandError, match="No such file"):
        call("import_plan", str(tmp_path / "none.json"))
    (tmp_path / "latin.json").write_bytes(b'{"\xe4": 1}')
    with pytest.raises(CommandError, match="is not UTF-8 at byte 2"):
        call("import_plan", str(tmp_path / "latin.json"))
    (tmp_path / "same.json").write_text(call("export_plan", "pro"))
    with pytest.raises(CommandError, match="nothing to import"):
        call("import_plan", str(tmp_path / "same.json"), "--dry-run")
