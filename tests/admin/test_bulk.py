"""Many invoices moved at once from the list: left to the workers, and followed on a page."""

from typing import Any

import pytest
from django.urls import reverse

from billing.invoicing.bulk.models import BulkAction
from billing.invoicing.models import Invoice
from tests.admin.conftest import User
from tests.billing.invoicing.bulk.test_bulk import drafts, work

pytestmark = pytest.mark.django_db


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two are many."""
    monkeypatch.setattr("billing.invoicing.bulk_page.AT_ONCE", 1)


def press(client: Any, invoices: list[Invoice], name: str = "approve_and_issue_selected") -> Any:
    url = reverse("admin:billing_invoice_changelist")
    form = {"action": name, "_selected_action": [each.pk for each in invoices], "index": "0"}
    page = client.post(url, form)
    return client.post(url, form | {"confirm": page.context["confirm"]})


def test_many_are_followed_on_a_page_of_their_own(sign_in: Any, few: None) -> None:
    finance, invoices = sign_in("Finance"), drafts()
    page = finance.get(press(finance, invoices)["Location"])
    text = page.content.decode()
    assert "0 of 3 invoices" in text
    assert "It begins as soon as a worker is free" in text
    action = work(BulkAction.objects.get())
    assert action.requested_by == User.objects.get(username="finance")
    text = finance.get(reverse("admin:billing_bulkaction_change", args=[action.pk])).content.decode()
    assert "3 of 3 invoices" in text
    assert "ACME-000003" in text
    assert "Approve and issue, no." in finance.get(reverse("admin:billing_bulkaction_changelist")).content.decode()


def test_a_second_press_is_told(sign_in: Any, few: None) -> None:
    finance, invoices = sign_in("Finance"), drafts()
    press(finance, invoices)
    answer = press(finance, invoices)
    assert "waits in a bulk action already" in finance.get(answer["Location"]).content.decode()
    assert BulkAction.objects.count() == 1


def test_it_is_cancelled_by_those_who_approve(sign_in: Any, few: None) -> None:
    finance, auditor = sign_in("Finance"), sign_in("Auditor")
    press(finance, drafts())
    url = reverse("admin:billing_bulkaction_cancel", args=[BulkAction.objects.get().pk])
    assert auditor.post(url).status_code == 403
    assert finance.get(url).status_code == 403
    finance.post(url)
    assert BulkAction.objects.get().state == "cancelled"
    assert set(Invoice.objects.values_list("state", flat=True)) == {"draft"}


def test_few_are_moved_while_the_page_waits(sign_in: Any) -> None:
    press(sign_in("Finance"), drafts())
    assert set(Invoice.objects.values_list("state", flat=True)) == {"issued"}
    assert not BulkAction.objects.exists()
