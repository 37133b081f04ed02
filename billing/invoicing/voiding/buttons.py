"""The buttons of an invoice's page that void it, and that take back that its lines are waived."""

from typing import Any

from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action

from billing.invoicing.errors import InvoicingError
from billing.invoicing.forms import ReasonForm
from billing.invoicing.models import Invoice
from billing.invoicing.voiding.forms import VoidForm
from billing.invoicing.voiding.models import Waiver
from billing.invoicing.voiding.services import bill_after_all, void
from config import clock
from customers.backoffice import change_url, leave_dialog


class Voiding:
    """For the admin of invoices."""

    def may_void(self, invoice: Invoice, button: str) -> bool:
        """A credit note is not voided, and nothing is billed after all where nothing is waived."""
        if button == "void":
            return invoice.kind == Invoice.Kind.INVOICE and invoice.reverses_id is None
        if button == "bill_after_all":
            return Waiver.objects.filter(line__invoice=invoice, superseded_at=None).exists()
        return True

    @action(description="Void", icon="block", permissions=["issue"], dialog={
        "title": "Void this invoice?",
        "description": "A document that reverses it to nothing is issued at once. What is open of it is settled.",
        "form_class": VoidForm,
        "form_submit_text": "Void",
    })  # fmt: skip
    def void(self: Any, request: HttpRequest, form: VoidForm, object_id: str) -> HttpResponse:
        """Issued → void."""
        invoice, given = self.get_object(request, unquote(object_id)), form.cleaned_data
        self.carry_out(
            request, invoice, f"Voided: {given['reason']}",
            lambda: void(
                invoice_id=invoice.pk, reason=given["reason"], bill_again=not given["waive"], way=given["way"],
                user=request.user, now=clock.now(),
            ),
            refusals=InvoicingError,
        )  # fmt: skip
        return leave_dialog(change_url(invoice))

    @action(description="Bill after all", icon="undo", permissions=["issue"], dialog={
        "title": "Bill its lines after all?",
        "description": "They are no longer waived, and stand on the next draft.",
        "form_class": ReasonForm,
        "form_submit_text": "Bill",
    })  # fmt: skip
    def bill_after_all(self: Any, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        """Take a waiver back."""
        invoice, reason = self.get_object(request, unquote(object_id)), form.cleaned_data["reason"]
        self.carry_out(
            request, invoice, f"Billed after all: {reason}",
            lambda: bill_after_all(invoice_id=invoice.pk, reason=reason, user=request.user, now=clock.now()),
            refusals=InvoicingError,
        )  # fmt: skip
        return leave_dialog(change_url(invoice))
