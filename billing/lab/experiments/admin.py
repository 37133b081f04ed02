"""Pages of experiments: set one up, start it, subscribe contracts by it, see what came of it, stop it."""

from decimal import Decimal
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db import transaction
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from billing.catalog.errors import CatalogError
from billing.catalog.models import Plan
from billing.lab.errors import LabError
from billing.lab.experiments import queries, services
from billing.lab.forms import AssignForm, StopForm
from billing.lab.models import Experiment, ExperimentVariant
from billing.lab.states import ExperimentState
from billing.metering.months.errors import MonthDetached
from config import clock
from customers.backoffice import (
    OfficeAdmin,
    amount_text,
    badge,
    change_url,
    granted,
    leave_dialog,
    link_to,
    quantity_text,
)

STATE_BADGES = {
    ExperimentState.DRAFT.label: "warning",
    ExperimentState.RUNNING.label: "success",
    ExperimentState.STOPPED.label: "",
}
STEPS = {ExperimentState.DRAFT: ("start",), ExperimentState.RUNNING: ("assign", "stop"), ExperimentState.STOPPED: ()}
"""The buttons of each state."""


class VariantInline(TabularInline):
    """The offers between which the experiment chooses; they may be edited until it starts."""

    model = ExperimentVariant
    verbose_name = "variant"
    fields = ("position", "name", "version", "share")
    autocomplete_fields = ("version",)
    extra = 0
    hide_title = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[ExperimentVariant]:
        """With the versions' names."""
        return super().get_queryset(request).select_related("version__plan")

    def _open(self, request: HttpRequest, obj: Experiment | None, verb: str) -> bool:
        return (obj is None or obj.state == ExperimentState.DRAFT) and request.user.has_perm(f"billing.{verb}")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Until it starts."""
        return self._open(request, obj, "change_experiment")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Until it starts."""
        return self._open(request, obj, "change_experiment")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Until it starts."""
        return self._open(request, obj, "change_experiment")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As the experiment."""
        return bool(request.user.has_perm("billing.view_experiment"))


@admin.register(Experiment)
class ExperimentAdmin(OfficeAdmin):
    """Which share of new contracts gets which version of a plan."""

    list_display = ("name", "experiment_state", "plan", "starts_on", "variants_text", "contracts_count")
    list_filter = (("state", ChoicesDropdownFilter),)
    list_select_related = ("plan",)
    search_fields = ("name", "code", "plan__name")
    autocomplete_fields = ("plan",)
    fields = (("name", "code"), ("plan", "starts_on"), "note")
    inlines = (VariantInline,)
    actions_detail = ("start", "assign", "stop")
    needs = (Plan,)
    empty_hint = "Give a share of new contracts another version of a plan, and compare what they pay and use."
    change_form_outer_before_template = "billing/admin/experiment.html"
    has_run_permission = granted("billing.run_experiment")
    has_assign_permission = granted("billing.add_subscription")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Experiment]:
        """With variants, and contracts counted."""
        return super().get_queryset(request).prefetch_related("variants").annotate(assigned=Count("assignments"))

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        """A code is proposed once."""
        return {} if obj else {"code": ("name",)}

    def has_change_permission(self, request: HttpRequest, obj: Experiment | None = None) -> bool:
        """Until it starts."""
        return super().has_change_permission(request, obj) and (obj is None or obj.state == ExperimentState.DRAFT)

    def has_delete_permission(self, request: HttpRequest, obj: Experiment | None = None) -> bool:
        """Only what has never started goes away."""
        allowed = request.user.has_perm("billing.delete_experiment")
        return bool(allowed and obj is not None and obj.state == ExperimentState.DRAFT)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """What its state allows."""
        experiment = self.get_object(request, unquote(str(object_id)))
        steps = STEPS[ExperimentState(experiment.state)] if experiment else ()
        return [step for step in super().get_actions_detail(request, object_id) if step.path in steps]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Above the form: what came of it."""
        experiment = self.get_object(request, unquote(object_id))
        extra = dict(extra_context or {})
        if experiment and experiment.state != ExperimentState.DRAFT and self.has_view_permission(request, experiment):
            extra |= _standing(experiment)
        return super().change_view(request, object_id, form_url, extra)

    @display(description="State", ordering="state")
    def experiment_state(self, experiment: Experiment) -> str:
        """Whether it assigns contracts."""
        return badge(experiment.get_state_display(), STATE_BADGES)

    @display(description="Variants")
    def variants_text(self, experiment: Experiment) -> str:
        """Names and shares."""
        return ", ".join(f"{each.name} {share_text(each.share)}" for each in experiment.variants.all())

    @display(description="Contracts", ordering="assigned")
    def contracts_count(self, experiment: Any) -> str:
        """How many are in it."""
        return quantity_text(experiment.assigned)

    @action(description="Start", icon="play_arrow", variant=ActionVariant.PRIMARY, permissions=["run"], dialog={
        "title": "Start this experiment?",
        "description": "From then on its plan, its first day, its variants and their shares stay as they are.",
        "form_class": BaseDialogForm,
        "form_submit_text": "Start",
    })  # fmt: skip
    def start(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Freeze it, or say what is missing."""
        experiment = self.get_object(request, unquote(object_id))
        return self._do(
            request, experiment, lambda: services.start_experiment(experiment=experiment, now=clock.now()),
            lambda _: "It is running: new contracts can be subscribed by it.",
        )  # fmt: skip

    @action(
        description="Subscribe a contract",
        icon="add",
        variant=ActionVariant.PRIMARY,
        permissions=["assign"],
        dialog={
            "title": "Subscribe a contract by this experiment",
            "description": "The contract's number decides which variant it gets.",
            "form_class": AssignForm,
            "form_submit_text": "Subscribe",
        },
    )
    def assign(self, request: HttpRequest, form: AssignForm, object_id: str) -> HttpResponse:
        """A new subscription to the version of its variant."""
        experiment, given = self.get_object(request, unquote(object_id)), form.cleaned_data
        return self._do(
            request, experiment,
            lambda: services.subscribe_by_experiment(
                contract=given["contract"], experiment=experiment, code=given["code"], start=given["start"],
                quantity=given["quantity"], now=clock.now(),
            ),
            lambda made: f"Contract {made.contract} gets “{made.variant}”: {made.variant.version}.",
        )  # fmt: skip

    @action(description="Stop", icon="stop", permissions=["run"], dialog={
        "title": "Stop this experiment?",
        "description": "No more contracts are assigned. Those that are keep their terms: move them on the plan's page.",
        "form_class": StopForm,
        "form_submit_text": "Stop",
    })  # fmt: skip
    def stop(self, request: HttpRequest, form: StopForm, object_id: str) -> HttpResponse:
        """End it, with the reason."""
        experiment, reason = self.get_object(request, unquote(object_id)), form.cleaned_data["reason"]
        return self._do(
            request, experiment,
            lambda: services.stop_experiment(experiment=experiment, reason=reason, now=clock.now()),
            lambda _: "It is stopped.",
        )  # fmt: skip

    def _do(self, request: HttpRequest, experiment: Experiment, verb: Any, done: Any) -> HttpResponse:
        """Run one verb in a transaction, record it in the history, and say how it went."""
        try:
            with transaction.atomic():
                text = done(verb())
        except (LabError, CatalogError) as error:
            messages.error(request, str(error))
        else:
            self.log_change(request, experiment, text)
            messages.success(request, text)
        return leave_dialog(change_url(experiment))


def share_text(share: int) -> str:
    """Basis points as percent: “33.34 %”."""
    return f"{Decimal(share).scaleb(-2).normalize():f} %"


def _standing(experiment: Experiment) -> dict[str, Any]:
    """For the page: a row for each variant and currency, and usage."""
    try:
        found = queries.standings(experiment, clock.now())
    except MonthDetached as error:
        return {"experiment": experiment, "trouble": str(error)}
    meters = sorted(queries.meters_of(found).values(), key=lambda meter: meter.name)
    return {
        "experiment": experiment,
        "experiment_badge": badge(experiment.get_state_display(), STATE_BADGES),
        "rows": [row for each in found for row in _rows(each)],
        "few": any(each.few for each in found),
        "problems": [problem for each in found for problem in each.problems][:20],
        "meters": meters,
        "used": [
            (each.variant.name, [_used(each, meter) for meter in meters]) for each in found if meters
        ],
        "wrong": [str(each.contract) for each in queries.misassigned(experiment)],
        "assigned": sum(each.contracts for each in found),
    }  # fmt: skip


def _rows(standing: queries.Standing) -> list[dict[str, str]]:
    head = {
        "name": standing.variant.name,
        "version": link_to(standing.variant.version),
        "share": share_text(standing.variant.share),
    }
    if not standing.revenue:
        return [head | {"contracts": "0"}]
    rows = []
    for currency, revenue in sorted(standing.revenue.items()):
        low, middle, high = revenue.spread or (None, None, None)
        rows.append(head | {
            "contracts": quantity_text(revenue.contracts),
            "billed": amount_text(revenue.billed, currency),
            "expected": amount_text(revenue.expected, currency),
            "average": amount_text(revenue.average, currency),
            "low": amount_text(low, currency), "middle": amount_text(middle, currency),
            "high": amount_text(high, currency),
        })  # fmt: skip
    return rows


def _used(standing: queries.Standing, meter: Any) -> tuple[str, str]:
    """Quantity of a meter in all, and by contract."""
    quantity = standing.used.get(meter.pk)
    if quantity is None:
        return "-", "-"
    return quantity_text(round(quantity, 6)), quantity_text(round(quantity / standing.contracts, 2))
