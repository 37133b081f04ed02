"""The review queue, a draft beside the invoice before it, and the policies that approve what is ordinary."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter, RelatedDropdownFilter
from unfold.decorators import action, display

from billing.invoicing.bulk_page import confirm_and_run
from billing.invoicing.models import Invoice
from billing.invoicing.review.forms import PolicyForm
from billing.invoicing.review.models import ApprovalPolicy, Assessment
from billing.invoicing.review.page import LEVEL_BADGES, LEVELS, change_text, side_by_side
from billing.invoicing.review.services import set_policy
from config import clock
from customers.backoffice import NONE, OfficeAdmin, RecordAdmin, amount_text, badge, granted, link_to, money
from customers.models import Customer


class LevelFilter(DropdownFilter):
    """By how much a draft wants a look."""

    title = "risk"
    parameter_name = "level"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """High, notable, ordinary."""
        return list(LEVELS.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Assessment]) -> QuerySet[Assessment]:
        """The drafts of the chosen level."""
        return queryset.filter(level=self.value()) if self.value() else queryset


@admin.register(Assessment)
class AssessmentAdmin(RecordAdmin):
    """Open drafts by risk, each with what changed and why."""

    list_display = (
        "risk",
        "customer_name",
        "total_money",
        "change_money",
        "year_money",
        "why",
        "unusual",
        "draft_link",
    )
    list_display_links = ("risk",)
    list_filter = (LevelFilter, ("invoice__kind", ChoicesDropdownFilter), ("invoice__entity", RelatedDropdownFilter))
    list_select_related = ("invoice__customer",)
    search_fields = ("invoice__customer__legal_name", "invoice__customer__external_id")
    search_help_text = "Customer, or your own id of the customer"
    show_full_result_count = False
    empty_hint = "Nothing waits for review: drafts come from a billing run."
    actions = ("approve_selected", "approve_and_issue_selected")
    change_form_template = "billing/admin/review.html"
    has_approve_permission = granted("billing.approve_invoice")
    has_issue_permission = granted("billing.issue_invoice")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Assessment], search_term: str
    ) -> tuple[QuerySet[Assessment], bool]:
        """Customers first, which are few, and then their drafts."""
        if not search_term.strip():
            return queryset, False
        named = Customer.objects.filter(legal_name__icontains=search_term.strip()).order_by()
        known = Customer.objects.filter(external_id__icontains=search_term.strip()).order_by()
        ids = {*named.values_list("pk", flat=True), *known.values_list("pk", flat=True)}
        return queryset.filter(invoice__customer__in=ids), False

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """A draft beside the invoice before it."""
        extra = dict(extra_context or {})
        known = self.get_object(request, unquote(object_id)) if object_id else None
        if known and self.has_view_permission(request, known):
            extra |= side_by_side(known)
        return super().changeform_view(request, object_id, form_url, extra)

    @action(description="Approve…", permissions=["approve"])
    def approve_selected(self, request: HttpRequest, queryset: QuerySet[Assessment]) -> HttpResponse | None:
        """Approve many, after a page that says how much."""
        return self._move(request, queryset, "approve")

    @action(description="Approve and issue…", permissions=["approve", "issue"])
    def approve_and_issue_selected(self, request: HttpRequest, queryset: QuerySet[Assessment]) -> HttpResponse | None:
        """Both at once."""
        return self._move(request, queryset, "approve_issue")

    def _move(self, request: HttpRequest, queryset: QuerySet[Assessment], step: str) -> HttpResponse | None:
        invoices = Invoice.objects.filter(pk__in=queryset.order_by().values("invoice"))
        steps = admin.site.get_model_admin(Invoice).steps(request)  # type: ignore[attr-defined]
        return confirm_and_run(request, self, invoices, steps[step])

    @display(description="Risk", ordering="score")
    def risk(self, known: Assessment) -> str:
        """How much it wants a look, and why in points."""
        text = LEVELS[known.level]
        points = f"{known.score} point{'s' * (known.score != 1)}"
        return format_html('{}<div class="mb-muted">{}</div>', badge(text, LEVEL_BADGES), points)

    @display(description="Customer", ordering="invoice__customer__legal_name")
    def customer_name(self, known: Assessment) -> str:
        """Who is billed."""
        return link_to(known.invoice.customer)

    @display(description="Total", ordering="invoice__total")
    def total_money(self, known: Assessment) -> str:
        """With tax."""
        return money(known.invoice.total, known.invoice.currency)

    @display(description="Change", ordering="change")
    def change_money(self, known: Assessment) -> str:
        """Against the invoice before it."""
        before = amount_text(known.previous_total, known.invoice.currency) if known.previous_total is not None else ""
        shown = format_html('<span class="mb-money">{}</span>', change_text(known.change))
        return format_html('{}<div class="mb-muted mb-money">{}</div>', shown, before) if before else shown

    @display(description="A year ago", ordering="year_total")
    def year_money(self, known: Assessment) -> str:
        """The same period last year."""
        return money(known.year_total, known.invoice.currency)

    @display(description="Why")
    def why(self, known: Assessment) -> SafeString | str:
        """The largest differences in words."""
        return format_html_join("", "<div>{}</div>", ((text,) for text, _ in known.reasons[:2])) or NONE

    @display(description="Unusual")
    def unusual(self, known: Assessment) -> SafeString | str:
        """What weighs most."""
        return format_html_join("", "<div>{}</div>", ((text,) for _, text in known.findings[:2])) or NONE

    @display(description="Draft")
    def draft_link(self, known: Assessment) -> str:
        """The draft itself."""
        return link_to(known.invoice)


@admin.register(ApprovalPolicy)
class ApprovalPolicyAdmin(OfficeAdmin):
    """Which drafts approve themselves: dated facts, never edited."""

    form = PolicyForm
    list_display = ("holds_for", "since", "amount_money", "change_count", "unusual", "reason")
    list_filter = (("entity", RelatedDropdownFilter),)
    list_select_related = ("entity", "customer")
    search_fields = ("customer__legal_name", "customer__external_id", "entity__code", "reason")
    search_help_text = "Customer, code of the legal entity, or reason"
    autocomplete_fields = ("customer",)
    fields = (("entity", "customer"), "since", ("amount", "currency"), ("change", "unusual"), "reason")
    empty_hint = "Until one is made, every draft waits for somebody who approves it."

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A later one takes over."""
        return False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """With who said it and when, once it is said."""
        return (*self.fields, ("recorded_at", "recorded_by")) if obj else self.fields

    def save_model(self, request: HttpRequest, obj: ApprovalPolicy, form: Any, change: bool) -> None:
        """Say it."""
        names = [name for name in PolicyForm.Meta.fields if name != "reason"]
        made = set_policy(
            **{name: getattr(obj, name) for name in names}, reason=obj.reason, user=request.user, now=clock.now()
        )
        obj.pk = made.pk

    @display(description="For", ordering="id")
    def holds_for(self, policy: ApprovalPolicy) -> str:
        """A customer, or all of a seller."""
        return link_to(policy.customer or policy.entity)

    @display(description="Up to", ordering="amount")
    def amount_money(self, policy: ApprovalPolicy) -> str:
        """The largest total that approves itself."""
        return money(policy.amount, policy.currency) if policy.amount is not None else "Nothing"

    @display(description="Change up to", ordering="change")
    def change_count(self, policy: ApprovalPolicy) -> str:
        """Against the invoice before."""
        return f"{policy.change} %" if policy.change is not None else "Any"
