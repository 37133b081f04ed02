"""The buttons of an invoice's page that credit it, and that take credits off a draft."""

from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action

from billing.invoicing.concessions.forms import CreditForm
from billing.invoicing.concessions.queries import conceded_on
from billing.invoicing.concessions.services import credit, take_back
from billing.invoicing.errors import InvoicingError
from billing.invoicing.forms import ReasonForm
from billing.invoicing.models import Invoice
from billing.invoicing.states import InvoiceState
from config import clock
from customers.backoffice import change_url, leave_dialog


class Crediting:
    """For the admin of invoices."""

    def offers(self, invoice: Invoice, button: str) -> bool:
        """A credit note is not credited, and credits are taken off where some stand."""
        if button == "credit":
            return invoice.kind == Invoice.Kind.INVOICE
        if button == "take_back_credits":
            return invoice.apart and bool(conceded_on(invoice))
        return True

    @action(description="Credit", icon="money_off", permissions=["approve"], dialog={
        "title": "Credit this invoice",
        "description": "A draft of a credit note is drawn up for review. Nothing is sent yet.",
        "form_class": CreditForm,
        "form_submit_text": "Credit",
    })  # fmt: skip
    def credit(self: Any, request: HttpRequest, form: CreditForm, object_id: str) -> HttpResponse:
        """Concede what the form says, and go to the draft."""
        invoice, given, target = form.invoice, form.cleaned_data, form.invoice
        try:
            said = credit(
                invoice_id=invoice.pk, amounts=given["amounts"], quantities=given["quantities"], way=given["way"],
                reason=given["reason"], user=request.user, now=clock.now(),
            )  # fmt: skip
        except InvoicingError as error:
            messages.error(request, str(error))
        else:
            self.log_change(request, invoice, f"Credited: {given['reason']}")
            corrects = Invoice.objects.filter(state=InvoiceState.DRAFT, lines__corrects=said[0].line_id)
            target = corrects.order_by("-apart", "-pk").first() or invoice
            messages.success(request, "The credit stands on this draft: review and approve it.")
        return leave_dialog(change_url(target))

    @action(description="Take back credits", icon="undo", permissions=["approve"], dialog={
        "title": "Take back the credits on this draft?",
        "description": "All credits that were conceded on it go, as if they had never been.",
        "form_class": ReasonForm,
        "form_submit_text": "Take back",
    })  # fmt: skip
    def take_back_credits(self: Any, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        """Take every credit off a draft; to the invoice that was credited."""
        draft = self.get_object(request, unquote(object_id))
        reason, target = form.cleaned_data["reason"], draft
        try:
            said = take_back(invoice_id=draft.pk, reason=reason, user=request.user, now=clock.now())
        except InvoicingError as error:
            messages.error(request, str(error))
        else:
            target = said[0].line.invoice
            self.log_change(request, target, f"Credit taken back: {reason}")
            messages.success(request, "The credits were taken back.")
        return leave_dialog(change_url(target))
