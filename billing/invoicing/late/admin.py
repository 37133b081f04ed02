"""Pages of invoicing policies: said once, in force from a day on, kept for ever."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import display

from billing.invoicing.late.forms import PolicyForm
from billing.invoicing.late.models import InvoicingPolicy
from billing.invoicing.late.services import set_policy
from config import clock
from customers.backoffice import RecordAdmin, amount_text, link_to


@admin.register(InvoicingPolicy)
class InvoicingPolicyAdmin(RecordAdmin):
    """What sellers and contracts have about late usage, open drafts, and small and zero invoices."""

    form = PolicyForm
    list_display = ("holds_for", "since_text", "late_text", "grace_text", "zero_text", "threshold_text", "reason")
    list_filter = (("entity", RelatedDropdownFilter),)
    list_select_related = ("entity", "contract")
    search_fields = ("contract__number", "entity__code", "reason")
    search_help_text = "Contract number, code of the legal entity, or reason"
    autocomplete_fields = ("contract",)
    fields = (
        ("entity", "contract"), "since", "late", ("grace", "grace_unit"), "zero", ("threshold", "currency"), "reason",
    )  # fmt: skip
    empty_hint = (
        "Until one is made: differences go on the next invoice, drafts wait for nothing, and every invoice is issued,"
        " of zero too."
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Those who may say what holds."""
        return bool(request.user.has_perm("billing.add_invoicingpolicy"))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """With who said it and when, once it is said."""
        return (*self.fields, ("recorded_at", "recorded_by")) if obj else self.fields

    def save_model(self, request: HttpRequest, obj: InvoicingPolicy, form: Any, change: bool) -> None:
        """Say it."""
        names = [name for name in PolicyForm.Meta.fields if name != "reason"]
        made = set_policy(
            **{name: getattr(obj, name) for name in names}, reason=obj.reason, user=request.user, now=clock.now()
        )
        obj.pk = made.pk

    @display(description="For", ordering="id")
    def holds_for(self, policy: InvoicingPolicy) -> str:
        """A contract, or all of a seller."""
        return link_to(policy.contract or policy.entity)

    @display(description="From", ordering="since")
    def since_text(self, policy: InvoicingPolicy) -> str:
        """The day from which it holds."""
        return format_html('<span class="mb-figure-inline" style="white-space: nowrap">{}</span>', policy.since)

    @display(description="Late usage")
    def late_text(self, policy: InvoicingPolicy) -> str:
        """Where differences go."""
        return policy.get_late_display() if policy.late else "-"

    @display(description="Wait")
    def grace_text(self, policy: InvoicingPolicy) -> str:
        """How long drafts stay open."""
        return str(policy.said().grace or "-")

    @display(description="Invoices of zero")
    def zero_text(self, policy: InvoicingPolicy) -> str:
        """What becomes of them."""
        return policy.get_zero_display() if policy.zero else "-"

    @display(description="Smallest invoice")
    def threshold_text(self, policy: InvoicingPolicy) -> str:
        """Below which one waits."""
        return amount_text(policy.threshold, policy.currency)
