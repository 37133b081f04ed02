"""A version's life in the back office: published with its warnings, later, retired, compared, imported, exported."""

import json
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from billing.catalog import publication
from billing.catalog.models import Plan, PlanVersion
from billing.catalog.plan_files import plan_to_json
from billing.catalog.services import new_version
from billing.catalog.units.models import ConversionRate, CustomUnit
from config import clock
from tests.admin.test_catalog import press, said
from tests.factories import fee, make_version

pytestmark = pytest.mark.django_db
OUTSIDERS = ("Finance", "Engineer", "Auditor", "nobody")


def page_of(client: Any, thing: Any) -> str:
    url = reverse(f"admin:billing_{thing._meta.model_name}_change", args=[thing.pk])
    return client.get(url).content.decode()


def later(**fields: str) -> dict[str, str]:
    return {"day": str(clock.now().date() + timedelta(days=7)), "time": "09:00", "zone": "Europe/Berlin"} | fields


def test_it_works(sign_in: Any, business: Any) -> None:
    """The dialog shows what deserves a second look, and the version keeps why it was published all the same."""
    version, revops = business.draft_version, sign_in("RevOps")
    dialog = revops.get(reverse("admin:billing_planversion_publish", args=[version.pk])).content.decode()
    assert "which had no events for 30 days" in dialog
    asked = press(revops, "publish", version)
    assert "This field is required" in asked.content.decode()
    answer = press(revops, "publish", version, reason="The meter starts in July")
    assert f"{version} is published" in said(answer)
    page = page_of(revops, version)
    assert "The meter starts in July" in page
    assert "which had no events for 30 days" in page


def test_without_warnings_the_dialog_asks_nothing(sign_in: Any, db: None) -> None:
    sold = make_version()
    version = new_version(plan=sold.plan, copy_of=sold)
    revops = sign_in("RevOps")
    dialog = revops.get(reverse("admin:billing_planversion_publish", args=[version.pk])).content.decode()
    assert "reason" not in dialog
    assert "is published" in said(press(revops, "publish", version))
    assert "is published already" in said(press(revops, "publish", version))


def test_a_version_is_scheduled_shown_and_cancelled(sign_in: Any, business: Any) -> None:
    version, revops = business.draft_version, sign_in("RevOps")
    press(revops, "schedule", version, **later(reason="New meter"))
    version.refresh_from_db()
    assert version.scheduled_by.username == "revops"
    page = page_of(revops, version)
    assert f"This draft is published by itself at {version.planned}, as revops chose" in page
    assert "09:00 (Europe/Berlin)" in page
    press(revops, "cancel_schedule", version)
    assert "is published by itself" not in page_of(revops, version)
    assert "nothing to cancel" in said(press(revops, "cancel_schedule", version))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"day": "2020-01-01"}, "This lies in the past"),
        ({"zone": "Mars"}, "Mars is no time zone"),
        ({"time": "late"}, "Enter a valid time"),
        ({"reason": ""}, "This field is required"),
    ],
)
def test_a_plan_for_later_says_what_is_wrong(fields: Any, sentence: str, sign_in: Any, business: Any) -> None:
    answer = press(sign_in("RevOps"), "schedule", business.draft_version, **later(reason="x") | fields)
    assert sentence in answer.content.decode()
    assert not PlanVersion.objects.exclude(publish_at=None).exists()


def test_why_it_was_not_published_stands_on_its_page(sign_in: Any, business: Any) -> None:
    version, now = business.draft_version, clock.now()
    publication.schedule(version=version, at=now + timedelta(hours=1), zone="UTC", user=None, now=now, reason="New")
    version.charges.all().delete()
    publication.publish_due(now=now + timedelta(hours=2))
    assert "It was not published when it was due" in page_of(sign_in("RevOps"), version)


def test_the_page_of_a_published_version_says_the_terms_of_its_charges(sign_in: Any, db: None) -> None:
    page = page_of(sign_in("Auditor"), make_version(fee(cadence="P1Y", proration="none", invoice_group="Fees")))
    assert "<div>Cadence: P1Y</div><div>Proration: None</div><div>Heading: Fees</div>" in page


def test_a_version_is_retired_and_offered_to_nobody(sign_in: Any, business: Any) -> None:
    revops = sign_in("RevOps")
    press(revops, "retire", business.version)
    page = page_of(revops, business.version)
    assert "Nobody new can be subscribed to this version" in page
    url = reverse("admin:customers_contract_subscribe", args=[business.contract.pk])
    assert "Pro v1" not in revops.get(url).content.decode()


def test_buttons_follow_the_state(sign_in: Any, business: Any) -> None:
    def buttons(version: PlanVersion) -> set[str]:
        page = page_of(client, version)
        names = ("publish", "schedule", "cancel_schedule", "retire", "new_from_this", "changes", "download")
        return {name for name in names if f"/{version.pk}/{name}" in page}

    client, version = sign_in("RevOps"), business.draft_version
    both = {"changes", "download"}
    assert buttons(version) == {"publish", "schedule"} | both
    press(client, "schedule", version, **later(reason="New"))
    assert buttons(version) == {"publish", "cancel_schedule"} | both
    press(client, "publish", version, reason="Now")
    assert buttons(version) == {"retire", "new_from_this"} | both
    press(client, "retire", version)
    assert buttons(version) == {"new_from_this"} | both


@pytest.mark.parametrize("role", OUTSIDERS)
@pytest.mark.parametrize("button", ["publish", "schedule", "cancel_schedule", "retire", "new_from_this"])
def test_only_revops_moves_versions(role: str, button: str, sign_in: Any, business: Any) -> None:
    thing = business.version if button in ("retire", "new_from_this") else business.draft_version
    assert press(sign_in(role), button, thing, **later(reason="x")).status_code == 403
    assert PlanVersion.objects.count() == 2
    assert not PlanVersion.objects.filter(state="retired").exists()


def test_two_versions_are_compared_in_words(sign_in: Any, business: Any) -> None:
    charge = business.draft_version.charges.get(code__code="tokens")
    charge.prices.update(price={"model": "per_unit", "unit_amount": "0.02", "currency": "USD"})
    client = sign_in("Auditor")
    step = reverse("admin:billing_planversion_changes", args=[business.draft_version.pk])
    page = client.get(step, follow=True).content.decode()
    assert "from USD 0.01 per token to USD 0.02 per token" in page
    assert f'<option value="{business.version.pk}" selected>' in page
    same = reverse("admin:billing_plan_compare") + f"?old={business.version.pk}&new={business.version.pk}"
    assert "Both charge the same." in client.get(same).content.decode()


def test_the_first_version_is_compared_with_nothing(sign_in: Any, business: Any) -> None:
    step = reverse("admin:billing_planversion_changes", args=[business.version.pk])
    page = sign_in("RevOps").get(step, follow=True).content.decode()
    assert "added, USD 100.00 a period" in page


def test_a_version_that_is_not_there_cannot_be_compared(sign_in: Any, business: Any) -> None:
    page = sign_in("RevOps").get(reverse("admin:billing_plan_compare") + "?old=&new=999999").content.decode()
    assert "Select a valid choice" in page


def test_a_version_is_downloaded_as_a_file(sign_in: Any, business: Any) -> None:
    url = reverse("admin:billing_planversion_json", args=[business.version.pk])
    answer = sign_in("Finance").get(url)
    assert answer["Content-Disposition"] == 'attachment; filename="pro-v1.json"'
    assert json.loads(answer.content) == plan_to_json(business.version)


def file_with(version: PlanVersion, **fields: Any) -> str:
    return json.dumps(plan_to_json(version) | fields)


def test_a_file_is_looked_at_then_imported(sign_in: Any, business: Any) -> None:
    plan = plan_to_json(business.version)
    plan["charges"][0]["prices"][0]["amount"] = "120"
    revops, url = sign_in("RevOps"), reverse("admin:billing_plan_import")
    upload = SimpleUploadedFile("pro.json", json.dumps(plan).encode(), content_type="application/json")
    preview = revops.post(url, {"file": upload})
    assert "from USD 100.00 a period to USD 120.00 a period" in preview.content.decode()
    assert PlanVersion.objects.count() == 2
    answer = revops.post(url, {"text": preview.context["text"], "confirm": preview.context["confirm"]})
    made = PlanVersion.objects.latest("number")
    assert answer["Location"] == reverse("admin:billing_planversion_change", args=[made.pk])
    assert plan_to_json(made) == plan


def test_what_was_confirmed_must_still_be_what_happens(sign_in: Any, business: Any) -> None:
    text = file_with(business.version, charges=[])
    revops, url = sign_in("RevOps"), reverse("admin:billing_plan_import")
    preview = revops.post(url, {"text": text})
    new_version(plan=business.version.plan, copy_of=business.version)
    again = revops.post(url, {"text": text, "confirm": preview.context["confirm"]})
    assert "The plan has changed since you looked at it" in again.content.decode()
    assert PlanVersion.objects.count() == 3


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "Choose a file, or paste its text"),
        ({"text": "{"}, "This is not JSON"),
        ({"text": '{"plan": 1, "other": 2}'}, "plan_file.other"),
        ({"file": SimpleUploadedFile("x.json", b"\xff\xfe")}, "not UTF-8 at byte 0"),
        ({"file": SimpleUploadedFile("x.json", b" " * 1_000_001)}, "more than 1 MB"),
    ],
)
def test_a_file_that_is_no_plan_is_told_where_and_why(fields: Any, sentence: str, sign_in: Any, business: Any) -> None:
    for file in fields.values():
        if not isinstance(file, str):
            file.seek(0)
    page = sign_in("RevOps").post(reverse("admin:billing_plan_import"), fields)
    assert sentence in page.content.decode()
    assert (Plan.objects.count(), PlanVersion.objects.count()) == (1, 2)


def test_a_file_that_changes_nothing_says_so(sign_in: Any, business: Any) -> None:
    page = sign_in("RevOps").post(reverse("admin:billing_plan_import"), {"text": file_with(business.version)})
    assert "There is nothing to import" in page.content.decode()


@pytest.mark.parametrize("role", OUTSIDERS)
def test_only_revops_imports(role: str, sign_in: Any, business: Any) -> None:
    client, url = sign_in(role), reverse("admin:billing_plan_import")
    assert client.get(url).status_code == 403
    assert client.post(url, {"text": file_with(business.version, charges=[])}).status_code == 403


def test_who_may_not_see_plans_sees_none_of_it(sign_in: Any, business: Any) -> None:
    pages = [
        reverse("admin:billing_planversion_json", args=[business.version.pk]), reverse("admin:billing_plan_compare"),
        reverse("admin:billing_planversion_changes", args=[business.version.pk]),
    ]  # fmt: skip
    for role in ("Engineer", "nobody"):
        client = sign_in(role)
        assert {client.get(page).status_code for page in pages} == {403}


def test_the_list_of_plans_says_who_is_on_them_and_in_what_they_are_sold(sign_in: Any, business: Any) -> None:
    make_version(plan="other", currencies=["USD", "EUR"])
    rows = sign_in("RevOps").get(reverse("admin:billing_plan_changelist")).context["cl"].queryset
    assert {row.code: (row.latest, row.drafts, row.subscribers, row.currencies) for row in rows} == {
        "pro": (1, 1, 1, ["USD"]), "other": (1, 0, 0, ["EUR", "USD"]),
    }  # fmt: skip


def test_units_are_made_and_their_rates_added_and_kept(sign_in: Any) -> None:
    admin = sign_in("admin")
    rates = {"rates-TOTAL_FORMS": 1, "rates-INITIAL_FORMS": 0, "rates-0-currency": "USD", "rates-0-rate": "0.01",
             "rates-0-valid_from": "2024-01-01"}  # fmt: skip
    form = {"name": "Credits", "code": "credits", "places": 2}
    assert admin.post(reverse("admin:billing_customunit_add"), form | rates).status_code == 302
    unit, rate = CustomUnit.objects.get(), ConversionRate.objects.get()
    assert (rate.rate, rate.valid_from, rate.created_by.username) == (Decimal("0.01"), date(2024, 1, 1), "admin")
    url = reverse("admin:billing_customunit_change", args=[unit.pk])
    again = {**rates, "name": "Credits"}
    page = admin.post(url, again).content.decode()
    assert "choose another day" in page
    assert admin.post(url, again | {"rates-0-valid_from": "2024-02-01", "rates-0-rate": "0.02"}).status_code == 302
    listed = admin.get(reverse("admin:billing_customunit_changelist")).content.decode()
    assert "USD 0.02 from 2024-02-01" in listed
