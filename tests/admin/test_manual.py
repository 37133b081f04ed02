"""Adding lines, discounts and notes to a draft from its page, and taking them back."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.urls import reverse

from billing.invoicing.manual.models import InvoiceNote, ManualLine
from billing.invoicing.models import Invoice
from billing.invoicing.services import approve
from tests.admin.conftest import NOW
from tests.billing.invoicing.manual.test_manual_lines import finish

pytestmark = pytest.mark.django_db


def finance(sign_in: Any) -> Any:
    """Somebody of finance who may add to drafts."""
    client = sign_in("Finance")
    kind = ContentType.objects.get_for_model(ManualLine)
    User.objects.get(username="finance").user_permissions.add(
        Permission.objects.get(content_type=kind, codename="add_manualline")
    )
    return client


def page(client: Any, invoice: Invoice) -> str:
    return str(client.get(reverse("admin:billing_invoice_change", args=[invoice.pk])).content.decode())


def post(client: Any, invoice: Invoice, what: str, **values: Any) -> Any:
    return client.post(reverse("admin:billing_manual_add", args=[invoice.pk, what]), values)


def test_it_works(sign_in: Any, business: Any) -> None:
    client, draft = finance(sign_in), business.drafts[0]
    day = {"first": draft.as_of, "last": draft.as_of, "due_on": draft.as_of}
    net = draft.net
    answer = post(client, draft, "line", text="Set-up", amount="50", reason="Order 7", **day)
    assert answer.status_code == 302, answer.context["form"].errors
    post(client, draft, "discount", text="Goodwill", percentage="10", reason="Outage")
    post(client, draft, "note", text="Thank you", printed="on")
    draft.refresh_from_db()
    assert draft.net == (net + 50) * 9 / 10
    shown = page(client, draft)
    assert all(text in shown for text in ("Order 7", "Outage", "10 % off all lines", "Thank you", "Add a line"))
    line = ManualLine.objects.get(kind="line")
    assert line.recorded_by is not None
    url = reverse("admin:billing_manual_change", args=[draft.pk, line.pk])
    assert client.get(url).context["form"].initial["amount"] == "50"
    client.post(url, {"text": "Set-up", "amount": "60", "reason": "Wrong", **day})
    fresh = ManualLine.objects.get(kind="line", superseded_at=None)
    client.post(reverse("admin:billing_manual_back", args=[draft.pk, "line", fresh.pk]), {"reason": "Not agreed"})
    draft.refresh_from_db()
    assert draft.net == net * 9 / 10
    note = InvoiceNote.objects.get()
    client.post(reverse("admin:billing_manual_back", args=[draft.pk, "note", note.pk]), {"reason": "Not polite"})
    assert "Thank you" not in page(client, draft)
    finish(draft)
    assert "Add a line" not in page(client, draft)


def test_what_is_refused_stands_on_the_form(sign_in: Any, business: Any) -> None:
    client, draft = finance(sign_in), business.drafts[0]
    answer = post(client, draft, "discount", text="Goodwill", reason="Outage")
    assert "Give either an amount or a percentage" in answer.content.decode()
    approve(invoice_ids=[draft.pk], user=None, now=NOW)
    answer = post(client, draft, "discount", text="Goodwill", percentage="10", reason="Outage")
    assert "approved by now" in answer.content.decode()
    assert not ManualLine.objects.exists()


def test_who_may_not_add_sees_no_button_and_no_page(sign_in: Any, business: Any) -> None:
    client, draft = sign_in("Auditor"), business.drafts[0]
    assert "Add a line" not in page(client, draft)
    assert post(client, draft, "line").status_code == 403


def test_a_discount_of_one_line_is_offered_each_line_that_bills_something(sign_in: Any, business: Any) -> None:
    client, draft = finance(sign_in), business.drafts[0]
    line = draft.lines.filter(amount__gt=0).first()
    answer = post(client, draft, "discount", of=line.pk, text="Goodwill", percentage="100", reason="Outage")
    assert answer.status_code == 302
    assert ManualLine.objects.get().of_stream_id == line.stream_id
    assert "100 % off one line" in page(client, draft)
