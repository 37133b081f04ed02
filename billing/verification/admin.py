"""Pages of verifications: what was looked at, and which invoices are not what their facts come to."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from billing.invoicing.background import enqueue
from billing.verification.models import Difference, Verification
from customers.backoffice import (
    NONE,
    RecordAdmin,
    RecordInline,
    badge,
    granted,
    leave_dialog,
    link_to,
    list_url,
    quantity_text,
)

PRIMARY = ActionVariant.PRIMARY


class DifferenceInline(RecordInline):
    """The invoices that differ, with what differs."""

    model = Difference
    fields = readonly_fields = ("invoice_link", "customer", "what")
    per_page = 50

    def get_queryset(self, request: HttpRequest) -> Any:
        """With their invoices."""
        return super().get_queryset(request).select_related("invoice__customer")

    @display(description="Invoice")
    def invoice_link(self, difference: Difference) -> str:
        """To its page."""
        return link_to(difference.invoice)

    @display(description="Customer")
    def customer(self, difference: Difference) -> str:
        """Who was billed."""
        return str(difference.invoice.customer)

    @display(description="What differs")
    def what(self, difference: Difference) -> str:
        """A line each."""
        return format_html_join("", "<div>{}</div>", ((reason,) for reason in difference.reasons)) or NONE


@admin.register(Verification)
class VerificationAdmin(RecordAdmin):
    """Invoices computed once more from what was known when they were made."""

    list_display = ("__str__", "started_at", "state", "checked_text", "different_text", "untold_text")
    list_select_related = ("requested_by",)
    fields = (
        ("state", "requested_by"),
        ("started_at", "finished_at"),
        ("checked_text", "different_text", "untold_text"),
    )
    readonly_fields = ("state", "checked_text", "different_text", "untold_text")
    inlines = (DifferenceInline,)
    actions_list = ("start",)
    has_start_permission = granted("billing.start_verification")
    empty_hint = "Every night all issued invoices are computed once more from what was known when they were made."

    @action(description="Verify all invoices", icon="verified", variant=ActionVariant.PRIMARY, permissions=["start"],
            dialog={
        "title": "Verify all issued invoices?",
        "description": "The worker computes each once more and keeps what differs. Nothing else is written.",
        "form_submit_text": "Verify",
    })  # fmt: skip
    def start(self, request: HttpRequest, form: Any) -> HttpResponse:
        """Leave it to the worker."""
        enqueue("billing.verification.tasks.verify_all", request.user.pk)
        messages.success(request, "The worker verifies all issued invoices; look at this list again in a while.")
        return leave_dialog(list_url(Verification))

    @display(description="Result")
    def state(self, verification: Verification) -> str:
        """Whether all is as it should be."""
        if verification.different:
            return badge("Differences", {"Differences": "danger"})
        if verification.finished_at is None:
            return badge("Running", {"Running": "info"})
        if verification.untold:
            return badge("No differences", {"No differences": "success"})
        return badge("All equal", {"All equal": "success"})

    @display(description="Invoices", ordering="checked")
    def checked_text(self, verification: Verification) -> str:
        """How many were looked at."""
        return quantity_text(verification.checked)

    @display(description="Different", ordering="different")
    def different_text(self, verification: Verification) -> str:
        """How many are not what their facts come to."""
        return quantity_text(verification.different)

    @display(description="Cannot be told", ordering="untold")
    def untold_text(self, verification: Verification) -> str:
        """Of a release that did not keep what it knew, or whose usage lies in the archive."""
        return quantity_text(verification.untold)
