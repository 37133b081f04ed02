"""Pages of billing runs: start one, watch it, cancel it, and see what each contract came to and why."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from billing.invoicing import services, tasks
from billing.invoicing.errors import InvoicingError
from billing.invoicing.forms import RunForm
from billing.invoicing.models import BillingRun
from billing.invoicing.runs import page
from billing.invoicing.runs.queries import with_counts
from billing.invoicing.runs.working import wait_for
from config import clock
from customers.backoffice import RecordAdmin, badge, change_url, granted, leave_dialog
from customers.models import Contract

AT_ONCE = 200
"""With more contracts than this, a run is left to the workers instead of done while the page waits."""


@admin.register(BillingRun)
class BillingRunAdmin(RecordAdmin):
    """Runs, with their outcomes counted."""

    list_display = (
        "run_name", "as_of", "state_badge", "started_at", "requested_by", "drafted_count", "unchanged_count",
        "held_count", "failed_count",
    )  # fmt: skip
    list_filter = (("state", ChoicesDropdownFilter), ("as_of", RangeDateFilter))
    list_select_related = ("requested_by",)
    actions_list = ("start",)
    empty_hint = "A run brings the draft invoice of every active contract up to date."
    needs = (Contract,)
    has_start_permission = granted("billing.start_billingrun")

    def get_queryset(self, request: HttpRequest) -> QuerySet[BillingRun]:
        """With the outcomes counted by result."""
        return with_counts(super().get_queryset(request))

    def get_urls(self) -> list[URLPattern]:
        """Beside the usual pages: what the buttons of a run do."""
        step = path("<int:pk>/step/", self.admin_site.admin_view(self.step_view), name="billing_billingrun_step")
        return [step, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """How far the run is, and what came of each contract."""
        run = self._run(request, object_id)
        common = {**self.admin_site.each_context(request), "opts": self.opts, "media": self.media}
        own = {"title": f"Run {run.pk} as of {run.as_of}", "original": run, "may": self.has_start_permission(request)}
        return TemplateResponse(request, "billing/admin/run.html", common | page.context_of(run, request.GET) | own)

    def step_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Cancel the run, or bill again what it held or failed, as the button says."""
        run = self._run(request, str(pk))
        if request.method != "POST" or not self.has_start_permission(request):
            raise PermissionDenied
        try:
            if "cancel" in request.POST:
                services.cancel(run_id=run.pk, user=request.user, now=clock.now())
                messages.success(request, "Cancelled: what was drafted so far stands, the rest is not billed.")
            else:
                run = self._begun(services.repeat(run=run, user=request.user, now=clock.now(), queue=_queue_if_large))
        except InvoicingError as error:
            messages.error(request, str(error))
        return HttpResponseRedirect(change_url(run))

    def _run(self, request: HttpRequest, object_id: str) -> BillingRun:
        run = get_object_or_404(
            BillingRun.objects.select_related("requested_by", "cancelled_by", "again"), pk=object_id
        )
        if not self.has_view_permission(request, run):
            raise PermissionDenied
        return run

    @display(description="Run", ordering="id")
    def run_name(self, run: BillingRun) -> str:
        """Its running number."""
        return f"Run {run.pk}"

    @display(description="State", ordering="state")
    def state_badge(self, run: BillingRun) -> str:
        """How it stands."""
        return badge(run.get_state_display(), page.STATE_BADGES)

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
        """At once for a few contracts, by the workers for many."""
        as_of = form.cleaned_data["as_of"]
        run = services.request_run(as_of=as_of, now=clock.now(), user=request.user, queue=_queue_if_large)
        run = self._begun(run)
        messages.success(request, f"Billing as of {as_of}: see below what each contract came to.")
        return leave_dialog(change_url(run))

    def _begun(self, run: BillingRun) -> BillingRun:
        """Done already, where it is small."""
        if run.contracts <= AT_ONCE:
            wait_for(run.pk, clock.now)
        return run


def _queue_if_large(run_id: int) -> None:
    """Hand a run to the workers, unless the page does it."""
    if BillingRun.objects.values_list("contracts", flat=True).get(pk=run_id) > AT_ONCE:
        tasks.queue_run(run_id)
