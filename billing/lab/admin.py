"""Pages of the price lab: ask, watch the work, read the result, open one customer, take it along as a file."""

import json
from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import F, Prefetch, Q, QuerySet
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path
from unfold.decorators import display

from billing.catalog.errors import CatalogError
from billing.catalog.models import Plan, PlanVersion
from billing.catalog.plan_files import plan_to_json
from billing.lab import csv_file, result_page, services, tasks
from billing.lab.customer_page import customer_context
from billing.lab.errors import LabError
from billing.lab.experiments.admin import ExperimentAdmin  # noqa: F401  registered with it
from billing.lab.forms import TrialForm
from billing.lab.models import PriceTrial, TrialCandidate, TrialRun
from billing.lab.states import WORKING, RunState
from billing.lab.words import months_text
from billing.metering.months.errors import MonthDetached
from config import clock
from customers.backoffice import NONE, OfficeAdmin, badge, change_url, list_url
from customers.models import Customer

RUN_BADGES = {
    RunState.QUEUED.label: "info",
    RunState.RUNNING.label: "info",
    RunState.DONE.label: "success",
    RunState.CANCELLED.label: "",
    RunState.FAILED.label: "danger",
}
PAGE = 50
ORDERS = {
    "more": ("Pay most more first", F("change").desc()),
    "less": ("Pay most less first", F("change").asc()),
    "today": ("Largest today first", F("today").desc()),
    "name": ("By name", F("customer__legal_name").asc()),
}


@admin.register(PriceTrial)
class PriceTrialAdmin(OfficeAdmin):
    """Questions to the lab, each with what its latest run found."""

    list_display = ("name", "months", "candidate_names", "run_state", "run_at", "created_by")
    list_select_related = ("created_by",)
    search_fields = ("name", "note")
    warn_unsaved_form = False
    empty_hint = "Try a price on real usage: choose candidates, months and customers, and see who would pay what."
    needs = (Plan,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[PriceTrial]:
        """With candidates and the runs' states."""
        runs = TrialRun.objects.defer("contracts", "result").order_by("-number")
        candidates = Prefetch("candidates", TrialCandidate.objects.defer("content"))
        return super().get_queryset(request).prefetch_related(candidates, Prefetch("runs", runs))

    def get_urls(self) -> list[Any]:
        """With the runs of a trial."""
        view, runs = self.admin_site.admin_view, "<int:pk>/runs/<int:number>/"
        own = [
            path("<int:pk>/run/", view(self.run_view), name="billing_pricetrial_run"),
            path(f"{runs}cancel/", view(self.cancel_view), name="billing_pricetrial_cancel"),
            path(f"{runs}customers/", view(self.customers_view), name="billing_pricetrial_customers"),
            path(f"{runs}customers/<int:customer>/", view(self.customer_view), name="billing_pricetrial_customer"),
            path(f"{runs}file/", view(self.file_view), name="billing_pricetrial_file"),
        ]
        return own + super().get_urls()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What was asked stands: ask anew instead."""
        return False

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Ask, and start at once."""
        if not self.has_add_permission(request) or not request.user.has_perm("billing.run_pricetrial"):
            raise PermissionDenied
        copying = "copy" in request.POST
        asked = request.method == "POST" and not copying
        form = TrialForm(request.POST if asked else None, initial=self._initial(request, copying))
        if asked and form.is_valid():
            try:
                trial = self._create(request, form)
            except (LabError, CatalogError) as error:
                form.add_error(None, str(error))
            else:
                self.log_addition(request, trial, "Asked, and started.")
                return HttpResponseRedirect(change_url(trial))
        context = {"title": "New trial", "form": form, "back": list_url(PriceTrial), "media": self.media + form.media,
                   "needs_plan": not PlanVersion.objects.exists()}  # fmt: skip
        return self._page(request, "trial_add.html", context)

    def _initial(self, request: HttpRequest, copying: bool) -> dict[str, Any]:
        """Last month, and `?version=3` of the address as a candidate; or what the form has, with its first candidate
        as a file to edit."""
        if not copying:
            last = (clock.now().date().replace(day=1) - timedelta(days=1)).replace(day=1)
            chosen = [pk for pk in request.GET.getlist("version") if pk.isdecimal()]
            return {"first_month": last, "last_month": last, "replaces": PriceTrial.Replaces.PLAN, "versions": chosen}
        initial: dict[str, Any] = {name: request.POST.get(name) for name in TrialForm.base_fields}
        chosen = [pk for pk in request.POST.getlist("versions") if pk.isdecimal()]
        initial |= {"versions": chosen[1:], "of_versions": request.POST.getlist("of_versions")}
        if not chosen:
            messages.warning(request, "Choose the version to copy as a candidate first.")
            return initial
        version = get_object_or_404(PlanVersion.objects.select_related("plan__product"), pk=chosen[0])
        content = json.dumps(plan_to_json(version), indent=2, ensure_ascii=False)
        return initial | {"edited": content, "edited_from": version.pk}

    def _create(self, request: HttpRequest, form: TrialForm) -> PriceTrial:
        given = form.cleaned_data
        with transaction.atomic():
            trial = services.create_trial(
                name=given["name"], note=given["note"], first_month=given["first_month"],
                last_month=given["last_month"], replaces=given["replaces"], cohort=form.cohort,
                candidates=form.candidates, user=request.user, now=clock.now(),
            )  # fmt: skip
            services.request_run(trial=trial, user=request.user, queue=tasks.queue_run, now=clock.now())
        return trial

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The trial with one of its runs: the latest, or `?run=2`; `?candidate=2` chooses whose figures are shown."""
        trial = get_object_or_404(PriceTrial.objects.select_related("created_by"), pk=object_id)
        if not self.has_view_permission(request, trial):
            raise PermissionDenied
        candidates = list(trial.candidates.defer("content"))
        runs = list(trial.runs.defer("contracts", "result").select_related("requested_by"))
        number = request.GET.get("run", "")
        chosen = next((run for run in runs if str(run.number) == number), runs[0] if runs else None)
        run = TrialRun.objects.get(pk=chosen.pk) if chosen else None
        place = _place(request, candidates)
        context: dict[str, Any] = {
            "title": trial.name, "original": trial, "trial": trial, "candidates": candidates, "run": run,
            "months": months_text(trial), "about": result_page.about(trial, candidates), "place": place + 1,
            "runs": [(each, badge(each.get_state_display(), RUN_BADGES)) for each in runs],
            "state": badge(run.get_state_display(), RUN_BADGES) if run else "",
            "working": bool(run and run.state in WORKING), "may_run": request.user.has_perm("billing.run_pricetrial"),
            "candidate": candidates[place],
        }  # fmt: skip
        if run and run.state in WORKING:
            context["progress"] = result_page.progress(run)
        if run and run.state == RunState.DONE:
            context |= result_page.found(run, candidates, place)
        response = self._page(request, "trial.html", context)
        if "HX-Request" in request.headers and not context["working"]:
            response["HX-Refresh"] = "true"  # the page that watched the work has no charts yet
        return response

    def run_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Run the trial again: a new result beside the old ones."""
        trial = self._asked(request, pk)
        try:
            services.request_run(trial=trial, user=request.user, queue=tasks.queue_run, now=clock.now())
        except LabError as error:
            messages.error(request, str(error))
        return HttpResponseRedirect(change_url(trial))

    def cancel_view(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        """Stop a run."""
        trial = self._asked(request, pk)
        run = get_object_or_404(TrialRun, trial=trial, number=number)
        try:
            services.cancel_run(run=run, now=clock.now())
            messages.success(request, f"{run} is cancelled; what it has rated so far is not shown as a result.")
        except LabError as error:
            messages.error(request, str(error))
        return HttpResponseRedirect(change_url(trial))

    def customers_view(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        """Every customer of a finished run, found by name or id, in an order."""
        run, candidates, place = self._finished(request, pk, number)
        query, order = request.GET.get("q", "").strip(), request.GET.get("order", "more")
        order = order if order in ORDERS else "more"
        outcomes = run.outcomes.filter(problem="").select_related("customer")
        if query:
            outcomes = outcomes.filter(
                Q(customer__legal_name__icontains=query) | Q(customer__external_id__icontains=query)
            )
        outcomes = outcomes.annotate(change=F(f"amounts__{place}") - F("today")).order_by(ORDERS[order][1], "id")
        page = Paginator(outcomes, PAGE).get_page(request.GET.get("page"))
        context = {
            "title": f"Customers: {run.trial.name}", "original": run.trial, "run": run, "candidates": candidates,
            "candidate": candidates[place], "place": place + 1, "page": page, "query": query, "order": order,
            "orders": [(name, text) for name, (text, _) in ORDERS.items()],
            "rows": [result_page.outcome_row(run, each, place) for each in page],
        }  # fmt: skip
        return self._page(request, "trial_customers.html", context)

    def customer_view(self, request: HttpRequest, pk: int, number: int, customer: int) -> HttpResponse:
        """One customer's steps, today's and a candidate's."""
        run, candidates, place = self._finished(request, pk, number)
        buyer = get_object_or_404(Customer, pk=customer)
        context: dict[str, Any] = {
            "title": f"{buyer}: {run.trial.name}", "original": run.trial, "run": run, "candidates": candidates,
            "candidate": candidates[place], "place": place + 1, "customer": buyer, "months": months_text(run.trial),
        }  # fmt: skip
        try:
            context |= customer_context(run, buyer, place)
        except (CatalogError, MonthDetached) as error:
            context["trouble"] = str(error)
        return self._page(request, "trial_customer.html", context)

    def file_view(self, request: HttpRequest, pk: int, number: int) -> HttpResponseBase:
        """The outcomes as CSV, by customer or, with `?by=charge`, by charge."""
        run, candidates, _ = self._finished(request, pk, number)
        by_charge = request.GET.get("by") == "charge"
        lines = csv_file.by_charge(run, candidates) if by_charge else csv_file.by_customer(run, candidates)
        name = f"trial-{pk}-run-{number}-by-{'charge' if by_charge else 'customer'}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)

    def _asked(self, request: HttpRequest, pk: int) -> PriceTrial:
        if request.method != "POST" or not request.user.has_perm("billing.run_pricetrial"):
            raise PermissionDenied
        return get_object_or_404(PriceTrial, pk=pk)

    def _finished(self, request: HttpRequest, pk: int, number: int) -> tuple[TrialRun, list[TrialCandidate], int]:
        """A run with a result, its candidates, and the place of the one that is asked for."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        run = get_object_or_404(TrialRun.objects.select_related("trial"), trial=pk, number=number)
        if run.state != RunState.DONE:
            raise Http404("This run has no result.")
        candidates = list(run.trial.candidates.defer("content"))
        return run, candidates, _place(request, candidates)

    def _page(self, request: HttpRequest, template: str, context: dict[str, Any]) -> TemplateResponse:
        common = {**self.admin_site.each_context(request), "opts": self.opts, "media": self.media}
        return TemplateResponse(request, f"billing/admin/{template}", common | context)

    @display(description="Months")
    def months(self, trial: PriceTrial) -> str:
        """What is rated."""
        return months_text(trial)

    @display(description="Candidates")
    def candidate_names(self, trial: PriceTrial) -> str:
        """What is tried."""
        return ", ".join(each.name for each in trial.candidates.all())

    @display(description="Latest run")
    def run_state(self, trial: PriceTrial) -> str:
        """How far it is."""
        run = next(iter(trial.runs.all()), None)
        return badge(run.get_state_display(), RUN_BADGES) if run else NONE

    @display(description="Asked")
    def run_at(self, trial: PriceTrial) -> str:
        """When the latest run was asked for."""
        run = next(iter(trial.runs.all()), None)
        return f"{run.requested_at:%Y-%m-%d %H:%M}" if run else NONE


def _place(request: HttpRequest, candidates: list[TrialCandidate]) -> int:
    """The candidate that the address asks for, from 0; the first where it asks for none."""
    text = request.GET.get("candidate", "1")
    number = int(text) if text.isdecimal() and len(text) < 3 else 1
    return number - 1 if 1 <= number <= len(candidates) else 0
