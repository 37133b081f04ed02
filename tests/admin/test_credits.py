"""Crediting an issued invoice from its page, and taking the credit back while it is a draft."""

from typing import Any

import pytest

from billing.invoicing.concessions.models import Adjustment
from billing.invoicing.models import Invoice
from tests.admin.test_invoices import buttons, press, said

pytestmark = pytest.mark.django_db


def test_a_line_is_credited_reviewed_and_taken_back(sign_in: Any, business: Any) -> None:
    finance, invoice = sign_in("Finance"), business.issued[0]
    line = invoice.lines.order_by("-amount")[0]
    both = press(finance, "credit", invoice, line=line.pk, amount="1.00", quantity="1", reason="Outage")
    assert "not both" in both.content.decode()
    press(finance, "credit", invoice, line=line.pk, amount="1.00", reason="Outage")
    note = Invoice.objects.get(kind="credit_note", state="draft", lines__corrects=line)
    assert "Take back credits" in buttons(finance, note)
    press(finance, "take_back_credits", note, reason="The wrong customer")
    assert Adjustment.objects.get().superseded_reason == "The wrong customer"
    assert not Invoice.objects.filter(pk=note.pk).exists()


def test_more_than_is_left_is_refused_in_words_and_not_by_everybody(sign_in: Any, business: Any) -> None:
    invoice = business.issued[0]
    line = invoice.lines.order_by("-amount")[0]
    refused = press(sign_in("Finance"), "credit", invoice, line=line.pk, amount="99999.00", reason="Outage")
    assert "credit at most that" in said(refused)
    assert press(sign_in("Auditor"), "credit", invoice, reason="Outage").status_code == 403
    assert not Adjustment.objects.exists()
