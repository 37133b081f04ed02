"""Pages of holds and their release, of how much doubtful usage is let pass, and a contract's last outcome."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from billing.invoicing import services as billing
from billing.invoicing.errors import InvoicingError
from billing.invoicing.forms import ReasonForm
from billing.invoicing.holds import services
from billing.invoicing.holds.found import LABELS
from billing.invoicing.holds.models import Hold, UsageTolerance
from billing.invoicing.holds.queries import held_money
from billing.invoicing.models import BillingRun
from billing.invoicing.runs.page import RESULT_BADGES
from billing.invoicing.runs.queries import last_outcome
from config import clock
from customers.backoffice import (
    NONE,
    OfficeAdmin,
    RecordAdmin,
    amount_text,
    badge,
    change_url,
    granted,
    leave_dialog,
    link_to,
    money,
)
from customers.models import Contract

STANDINGS = {"Stands": "warning", "Released": "success", "Ended": ""}


class StandingFilter(DropdownFilter):
    """Those that stand unless one asks for others."""

    title = "standing"
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """What can be chosen besides those that stand."""
        return [("released", "Released"), ("ended", "Ended"), ("all", "All")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Hold]) -> QuerySet[Hold]:
        """The holds of the chosen standing."""
        chosen = {"released": Q(released_at__isnull=False), "ended": Q(ended_at__isnull=False), "all": Q()}
        return queryset.filter(chosen.get(self.value() or "", Q(released_at=None, ended_at=None)))


class CheckFilter(DropdownFilter):
    """By check."""

    title = "check"
    parameter_name = "code"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Every check by its name."""
        return [(code, label) for code, label in LABELS.items() if code != "sibling"]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Hold]) -> QuerySet[Hold]:
        """The holds of the chosen check."""
        return queryset.filter(code=self.value()) if self.value() else queryset


@admin.register(Hold)
class HoldAdmin(RecordAdmin):
    """What waits for somebody, with the reason and the way out."""

    list_before_template = "billing/admin/hold_amounts.html"
    list_display_links = ("check_name",)
    list_display = (
        "check_name", "contract_link", "customer_link", "reason", "held_amount", "first_seen_at", "standing",
    )  # fmt: skip
    list_filter = (StandingFilter, CheckFilter)
    list_select_related = ("contract__customer",)
    search_fields = ("contract__number", "contract__customer__legal_name", "contract__customer__external_id")
    search_help_text = "Contract number, customer's name or your own id of the customer"
    fieldsets = (
        (None, {"fields": (("contract_link", "customer_link"), ("check_name", "standing"), "reason", "lines")}),
        ("In money", {"fields": ("held_amount",)}),
        ("Seen", {"fields": (("first_seen_at", "first_run_link"), ("last_seen_at", "last_run_link"))}),
        ("Release", {"fields": ("covered", ("released_at", "released_by"), "released_why", "ended_at")}),
    )
    readonly_fields = (
        "contract_link", "customer_link", "check_name", "standing", "reason", "lines", "held_amount", "first_run_link",
        "last_run_link", "covered",
    )  # fmt: skip
    actions_detail = ("release",)
    empty_hint = "Nothing is held: every contract passed its checks, or was not billed yet."
    has_release_permission = granted("billing.release_hold")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """With what is held in money, by currency."""
        amounts = [
            {"amount": amount_text(each.amount, each.currency), "contracts": each.contracts} for each in held_money()
        ]
        return super().changelist_view(request, (extra_context or {}) | {"held_money": amounts})

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """A release, where it can be."""
        steps = super().get_actions_detail(request, object_id)
        stands = Hold.objects.filter(pk=object_id, releasable=True, released_at=None, ended_at=None).exists()
        return steps if stands else [step for step in steps if step.path != "release"]

    @action(description="Release", icon="lock_open", variant=ActionVariant.PRIMARY, permissions=["release"], dialog={
        "title": "Release the hold",
        "description": "Lets pass what the hold is about, and bills the customer. What comes after it holds again.",
        "form_class": ReasonForm,
        "form_submit_text": "Release",
    })  # fmt: skip
    def release(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        """Release, and bill the customer as of the day of the run that held it, where the person may."""
        try:
            hold = services.release(
                hold_id=int(object_id), user=request.user, reason=form.cleaned_data["reason"], now=clock.now()
            )
        except InvoicingError as error:
            messages.error(request, str(error))
            return leave_dialog(change_url(Hold(pk=int(object_id))))
        self.log_change(request, hold, "Released.")
        if hold.last_run is None or not request.user.has_perm("billing.start_billingrun"):
            messages.success(request, "Released: the next billing run drafts the customer's invoice.")
            return leave_dialog(change_url(hold))
        return leave_dialog(change_url(self._billed(request, hold, hold.last_run)))

    def _billed(self, request: HttpRequest, hold: Hold, run: BillingRun) -> BillingRun:
        ids = list(Contract.objects.filter(customer=hold.contract.customer_id).values_list("pk", flat=True))
        messages.success(request, f"Released, and {hold.contract.customer} is billed again: see below.")
        return billing.run_billing(as_of=run.as_of, now=clock.now(), user=request.user, contract_ids=ids)

    @display(description="Contract", ordering="contract__number")
    def contract_link(self, hold: Hold) -> str:
        """The contract that waits."""
        return link_to(hold.contract)

    @display(description="Customer", ordering="contract__customer__legal_name")
    def customer_link(self, hold: Hold) -> str:
        """Its customer, none of whose contracts is drafted meanwhile."""
        return link_to(hold.contract.customer)

    @display(description="Check", ordering="code")
    def check_name(self, hold: Hold) -> str:
        """Which check it failed."""
        return LABELS.get(hold.code, hold.code)

    @display(description="Reason and way out")
    def reason(self, hold: Hold) -> str:
        """As the run said it."""
        return hold.sentence

    @display(description="What it is about")
    def lines(self, hold: Hold) -> SafeString | str:
        """A line each."""
        rows = ((text,) for text in hold.detail)
        return format_html_join("", '<div class="mb-figure-inline">{}</div>', rows) or NONE

    @display(description="Held", ordering="amount")
    def held_amount(self, hold: Hold) -> str:
        """What would be drafted without the hold."""
        return money(hold.amount, hold.contract.currency)

    @display(description="Standing")
    def standing(self, hold: Hold) -> str:
        """Whether it stands."""
        return badge("Released" if hold.released_at else "Ended" if hold.ended_at else "Stands", STANDINGS)

    @display(description="In")
    def first_run_link(self, hold: Hold) -> str:
        """The run that saw it first."""
        return link_to(hold.first_run)

    @display(description="In")
    def last_run_link(self, hold: Hold) -> str:
        """The run that saw it last."""
        return link_to(hold.last_run)

    @display(description="A release covers")
    def covered(self, hold: Hold) -> str:
        """What a release lets pass."""
        if "events" in hold.covers:
            events, position = hold.covers["events"], hold.covers["position"]
            return f"{events:,} event{'' if events == 1 else 's'}, up to position {position:,} of what was known"
        if "below_zero" in hold.covers:
            return f"{hold.contract.currency} {hold.covers['below_zero']} below zero"
        return "Cannot be released: its reason must be mended." if not hold.releasable else NONE


@admin.register(UsageTolerance)
class UsageToleranceAdmin(OfficeAdmin):
    """How much doubtful usage a run lets pass, of all or of one legal entity."""

    list_display = ("of", "invalid_events", "invalid_share", "uncounted_events", "uncounted_share")
    list_select_related = ("entity",)
    empty_hint = "Without one, a customer is held when more than 1 % of the events cannot be read by a meter."
    fieldsets = (
        (None, {"fields": ("entity",)}),
        ("Events that a meter cannot read", {"fields": (("invalid_events", "invalid_share"),)}),
        ("Events that no meter counts", {"fields": (("uncounted_events", "uncounted_share"),)}),
    )

    @display(description="Of")
    def of(self, tolerance: UsageTolerance) -> str:
        """Whose it is."""
        return str(tolerance.entity or "Every other legal entity")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Without it, that of all holds, or what stands by default."""
        return bool(request.user.has_perm("billing.delete_usagetolerance"))


class LastOutcome:
    """On the page of a contract: what the last billing run did with it."""

    def get_fieldsets(self: Any, request: HttpRequest, obj: Contract | None = None) -> Any:
        """As before, and ours on a contract that is there."""
        found = super().get_fieldsets(request, obj)  # type: ignore[misc]
        if obj is None or not request.user.has_perm("billing.view_billingrun"):
            return found
        return [*found, ("Last billing run", {"fields": ("last_outcome",)})]

    def get_readonly_fields(self: Any, request: HttpRequest, obj: Contract | None = None) -> tuple[str, ...]:
        """Ours is never edited."""
        return (*super().get_readonly_fields(request, obj), "last_outcome")  # type: ignore[misc]

    @display(description="Outcome")
    def last_outcome(self, contract: Contract) -> SafeString | str:
        """Result, run, draft and reason."""
        found = last_outcome(contract.pk) if contract.pk else None
        if found is None:
            return "No billing run has looked at it yet."
        result = badge(found.get_result_display(), RESULT_BADGES)
        draft = link_to(found.invoice) if found.invoice else ""
        return format_html("{} in {} {}<div>{}</div>", result, link_to(found.run), draft, found.reason)


def _with_outcome() -> None:
    """Register the page of contracts again, with its last outcome."""
    page = type(admin.site.get_model_admin(Contract))
    admin.site.unregister(Contract)
    admin.site.register(Contract, type(page.__name__, (LastOutcome, page), {"__doc__": page.__doc__}))


_with_outcome()
