"""The page of alerts: what is odd, and who looked into it."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextareaWidget

from billing.metering.alerts import services
from billing.metering.alerts.models import UsageAlert
from billing.metering.alerts.wording import what
from billing.metering.errors import MeteringError
from config import clock
from customers.backoffice import NONE, RecordAdmin, badge, granted, leave_dialog, link_to, list_url

BADGES = {"Open": "danger", "Acknowledged": "warning", "Over": "success"}


class AcknowledgeForm(BaseDialogForm):
    """What whoever looked into it found."""

    reason = forms.CharField(
        label="What you found",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Kept with the alert, e.g. “They moved to another region; their new key is on its way”.",
    )


DIALOG = {
    "title": "Acknowledge this alert",
    "description": "It leaves the queue on the home page. It still closes by itself when usage is as it was.",
    "form_class": AcknowledgeForm,
    "form_submit_text": "Acknowledge",
}


class StandingFilter(admin.SimpleListFilter):
    """Open, acknowledged or over."""

    title = "standing"
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The choices."""
        return [("open", "Open"), ("acknowledged", "Acknowledged"), ("over", "Over")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[UsageAlert]) -> QuerySet[UsageAlert]:
        """Those of the choice."""
        kept = {
            "open": queryset.filter(closed_at=None, acknowledged_at=None),
            "acknowledged": queryset.filter(closed_at=None, acknowledged_at__isnull=False),
            "over": queryset.filter(closed_at__isnull=False),
        }
        return kept.get(self.value() or "", queryset)


@admin.register(UsageAlert)
class UsageAlertAdmin(RecordAdmin):
    """Usage that is not as it was: alerts open and close by themselves; people acknowledge them."""

    list_display = ("kind", "standing", "customer_link", "meter", "source", "figures", "since_day", "opened_at")
    list_display_links = ("kind",)
    list_filter = (StandingFilter, ("kind", ChoicesDropdownFilter), ("opened_at", RangeDateFilter))
    list_select_related = ("customer", "meter")
    search_fields = ("customer__legal_name", "customer__external_id", "meter__code", "source")
    search_help_text = "Customer, meter or source"
    fieldsets = (
        (None, {"fields": (("kind", "standing"), ("customer_link", "meter"), "source", ("figures", "since_day"))}),
        ("What became of it", {"fields": (("opened_at", "closed_at"), ("acknowledged_at", "acknowledged_by"),
                                          "acknowledgement")}),
    )  # fmt: skip
    actions_detail = ("acknowledge",)
    empty_hint = "One opens when a customer's usage stops or jumps against its own last four weeks."
    has_acknowledge_permission = granted("billing.change_usagealert")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """One that nobody has looked into can be acknowledged."""
        alert = self.get_object(request, unquote(str(object_id)))
        waits = alert is not None and alert.acknowledged_at is None
        return super().get_actions_detail(request, object_id) if waits else []

    @display(description="Standing")
    def standing(self, alert: UsageAlert) -> str:
        """Whether it still is so, and whether somebody knows."""
        text = "Over" if alert.closed_at else "Acknowledged" if alert.acknowledged_at else "Open"
        return badge(text, BADGES)

    @display(description="Customer", ordering="customer__legal_name")
    def customer_link(self, alert: UsageAlert) -> str:
        """Whose usage it is."""
        return link_to(alert.customer)

    @display(description="Day's usage")
    def figures(self, alert: UsageAlert) -> str:
        """What there was, and what is usual."""
        return what(alert) or NONE

    @display(description="Since", ordering="since")
    def since_day(self, alert: UsageAlert) -> str:
        """The day it began."""
        return format_html('<span class="mb-figure-inline">{}</span>', f"{alert.since:%Y-%m-%d}")

    @action(
        description="Acknowledge",
        icon="check",
        variant=ActionVariant.PRIMARY,
        permissions=["acknowledge"],
        dialog=DIALOG,
    )
    def acknowledge(self, request: HttpRequest, form: AcknowledgeForm, object_id: str) -> HttpResponse:
        """Note who looked into it."""
        alert: Any = self.get_object(request, unquote(object_id))
        reason = form.cleaned_data["reason"]
        try:
            with transaction.atomic():
                services.acknowledge(alert_ids=[alert.pk], reason=reason, user=request.user, now=clock.now())
        except MeteringError as error:
            messages.error(request, str(error))
        else:
            self.log_change(request, alert, f"Acknowledged: {reason}")
            messages.success(request, f"{alert} is acknowledged.")
        return leave_dialog(list_url(UsageAlert, "standing=open"))
