"""Pages of billing runs: start one, and see what each contract came to and why."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Case, Count, Q, QuerySet, When
from django.http import HttpRequest, HttpResponse
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from billing.invoicing import services
from billing.invoicing.background import enqueue
from billing.invoicing.forms import RunForm
from billing.invoicing.models import BillingRun, RunOutcome
from billing.invoicing.runs.planning import CHUNK
from config import clock
from customers.backoffice import RecordAdmin, RecordInline, badge, change_url, granted, leave_dialog, link_to, list_url
from customers.models import Contract
from customers.states import ContractState

Result = RunOutcome.Result
RESULT_BADGES = {
    Result.DRAFTED.label: "success",
    Result.UNCHANGED.label: "",
    Result.HELD.label: "warning",
    Result.FAILED.label: "danger",
}
AT_ONCE = CHUNK
"""With more active contracts than this, a run is queued for the worker instead of done while the page waits."""


class OutcomeInline(RecordInline):
    """What the run did, the troubles first."""

    model = RunOutcome
    fields = readonly_fields = ("contract_link", "customer_link", "result_badge", "reason", "invoice_link")
    verbose_name_plural = "outcomes"
    per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[RunOutcome]:
        """Failed, held, drafted, unchanged."""
        order = [Result.FAILED, Result.HELD, Result.DRAFTED, Result.UNCHANGED]
        rank = Case(*[When(result=value, then=place) for place, value in enumerate(order)])
        related = ("contract__customer", "invoice")
        return super().get_queryset(request).select_related(*related).order_by(rank, "contract__number")

    @display(description="Contract")
    def contract_link(self, outcome: RunOutcome) -> str:
        """The contract billed."""
        return link_to(outcome.contract)

    @display(description="Customer")
    def customer_link(self, outcome: RunOutcome) -> str:
        """Its customer."""
        return link_to(outcome.contract.customer)

    @display(description="Result")
    def result_badge(self, outcome: RunOutcome) -> str:
        """What came of it."""
        return badge(outcome.get_result_display(), RESULT_BADGES)

    @display(description="Invoice")
    def invoice_link(self, outcome: RunOutcome) -> str:
        """The draft, as it is today."""
        return link_to(outcome.invoice)


@admin.register(BillingRun)
class BillingRunAdmin(RecordAdmin):
    """Runs, with their outcomes counted."""

    list_display = (
        "run_name", "as_of", "started_at", "requested_by", "drafted_count", "unchanged_count", "held_count",
        "failed_count",
    )  # fmt: skip
    list_filter = (("as_of", RangeDateFilter),)
    list_select_related = ("requested_by",)
    fields = (("as_of", "requested_by"), ("started_at", "finished_at"))
    inlines = (OutcomeInline,)
    actions_list = ("start",)
    empty_hint = "A run brings the draft invoice of every active contract up to date."
    needs = (Contract,)
    has_start_permission = granted("billing.start_billingrun")

    def get_queryset(self, request: HttpRequest) -> QuerySet[BillingRun]:
        """With the outcomes counted by result."""
        counts: dict[str, Any] = {f"n_{value}": Count("outcomes", Q(outcomes__result=value)) for value in Result.values}
        return super().get_queryset(request).annotate(**counts)

    @display(description="Run", ordering="id")
    def run_name(self, run: BillingRun) -> str:
        """Its running number."""
        return f"Run {run.pk}"

    @display(description="Drafted")
    def drafted_count(self, run: Any) -> int:
        """Drafts made or changed."""
        return run.n_drafted

    @display(description="Unchanged")
    def unchanged_count(self, run: Any) -> int:
        """Nothing new."""
        return run.n_unchanged

    @display(description="Held")
    def held_count(self, run: Any) -> int:
        """Waiting, with a reason."""
        return run.n_held

    @display(description="Failed")
    def failed_count(self, run: Any) -> int:
        """Not computed, with a reason."""
        return run.n_failed

    @action(description="Run billing", icon="play_arrow", variant=ActionVariant.PRIMARY, permissions=["start"], dialog={
        "title": "Run billing",
        "description": "Brings the draft of every active contract up to date. Nothing is approved or sent.",
        "form_class": RunForm,
        "form_submit_text": "Run",
    })  # fmt: skip
    def start(self, request: HttpRequest, form: RunForm) -> HttpResponse:
        """At once for a few contracts, by the worker for many."""
        as_of = form.cleaned_data["as_of"]
        if Contract.objects.filter(state=ContractState.ACTIVE).count() > AT_ONCE:
            enqueue("billing.invoicing.tasks.bill", as_of.isoformat(), request.user.pk)
            messages.success(request, f"Billing as of {as_of} is queued: it appears here when the worker starts it.")
            return leave_dialog(list_url(BillingRun))
        run = services.run_billing(as_of=as_of, now=clock.now(), user=request.user)
        messages.success(request, f"Billed as of {as_of}: see below what each contract came to.")
        return leave_dialog(change_url(run))
