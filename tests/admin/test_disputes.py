"""Customers’ questions and links in the back office: what stands there, what the buttons do, who may press them."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.urls import reverse

from billing.hosted.models import Dispute, HostedLink
from billing.hosted.services import ask, make_link
from config import clock
from customers.backoffice import change_url
from tests.admin.conftest import ROLES
from tests.billing.issued import Line, make_contract, make_invoice, make_issued

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked(db: None) -> SimpleNamespace:
    """An issued invoice, a link to it, and an open question about its line."""
    invoice, now = make_issued(), clock.now()
    User.objects.filter(username="finance").update(username="issuer")  # who issued it; the name is sign_in’s
    link = make_link(invoice=invoice, user=None, now=now)
    dispute = ask(
        link=link, line=invoice.lines.get(), name="Eve", email="eve@acme.example", question="Why so many?", now=now
    )
    return SimpleNamespace(invoice=invoice, link=link, dispute=dispute)


def press(client: Any, asked: SimpleNamespace, button: str, text: str) -> Any:
    url = reverse(f"admin:billing_dispute_{button}", args=[asked.dispute.pk])
    client.post(url, {"_form_submitted": "True", "text": text})
    return Dispute.objects.get()


def test_it_works(sign_in: Any, asked: SimpleNamespace) -> None:
    client = sign_in("admin")
    invoice_page = client.get(change_url(asked.invoice)).content.decode()
    assert "Why so many?" in invoice_page
    assert change_url(asked.dispute) in invoice_page
    assert asked.link.path in invoice_page
    assert "Why so many?" in client.get(reverse("admin:billing_dispute_changelist")).content.decode()
    found = press(client, asked, "answer", "Two busy days.")
    assert (found.state, found.answer, found.answered_by.username) == ("answered", "Two busy days.", "admin")
    found = press(client, asked, "answer", "Once more.")
    assert found.answer == "Two busy days."
    found = press(client, asked, "settle", "Explained.")
    assert (found.state, found.outcome, found.settled_by.username) == ("settled", "Explained.", "admin")
    page = client.get(change_url(asked.dispute)).content.decode()
    assert all(words in page for words in ("Two busy days.", "Explained.", "Eve", "line 1"))
    assert mail.outbox == []  # the worker sends the answer, after the commit


@pytest.mark.parametrize("role", [*ROLES, "nobody"])
def test_finance_answers_and_makes_links_and_nobody_else(role: str, sign_in: Any, asked: SimpleNamespace) -> None:
    client, may = sign_in(role), role == "Finance"
    assert (press(client, asked, "answer", "Hello").state == "answered") == may
    client.post(reverse("admin:billing_hostedlink_make", args=[asked.invoice.pk]))
    assert (HostedLink.objects.count() == 2) == may
    client.post(reverse("admin:billing_hostedlink_revoke", args=[asked.link.pk]))
    assert (HostedLink.objects.get(pk=asked.link.pk).revoked_at is not None) == may


def test_whoever_may_not_share_an_invoice_does_not_see_its_address(sign_in: Any, asked: SimpleNamespace) -> None:
    page = sign_in("Auditor").get(change_url(asked.invoice)).content.decode()
    assert asked.link.path not in page
    assert "New link" not in page


def test_the_buttons_stand_on_issued_documents_only(sign_in: Any, asked: SimpleNamespace) -> None:
    client = sign_in("Finance")
    page = client.get(change_url(asked.invoice)).content.decode()
    assert "New link" in page
    assert "Revoke" in page
    draft = make_invoice(make_contract("C-2"), [Line("Tokens", "5.00")], state="draft")
    assert "New link" not in client.get(change_url(draft)).content.decode()
    client.post(reverse("admin:billing_hostedlink_make", args=[draft.pk]))
    assert not HostedLink.objects.filter(invoice=draft).exists()


def test_a_link_is_neither_made_nor_revoked_by_following_an_address(sign_in: Any, asked: SimpleNamespace) -> None:
    client = sign_in("Finance")
    for name, thing in (("make", asked.invoice), ("revoke", asked.link)):
        assert client.get(reverse(f"admin:billing_hostedlink_{name}", args=[thing.pk])).status_code == 403
    assert HostedLink.objects.get().revoked_at is None
