"""Pages of meters and API keys; the pages of usage hang on the meters' addresses."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display

from billing.metering.explorer.explorer_page import address
from billing.metering.explorer.urls import pages
from billing.metering.forms import MeterForm
from billing.metering.models import METER_DEFINITION, Meter
from customers.backoffice import OfficeAdmin, granted

FROZEN_WHEN_SOLD = ("code", *METER_DEFINITION)  # as the trigger meter_frozen has them


@admin.register(Meter)
class MeterAdmin(OfficeAdmin):
    """How events are counted. One that a published price counts with is frozen: a different count is a new meter."""

    form = MeterForm
    list_display = ("name", "code", "event_type", "aggregation", "value", "unit", "in_use")
    list_filter = (("aggregation", ChoicesDropdownFilter),)
    empty_hint = "A meter says how events become a quantity that can be priced."
    search_fields = ("name", "code", "event_type")
    actions_detail = ("open_usage",)
    has_usage_permission = granted("billing.view_meter")
    fieldsets = (
        (None, {"fields": (("name", "code"), ("event_type", "unit"))}),
        ("What counts", {"fields": (("aggregation", "value"), "filters", "group_by")}),
        ("How the quantity is made", {"fields": (("recurring", "prorate"), "operation", "rounding")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Meter]:
        """With whether a published price counts with it."""
        return super().get_queryset(request).with_use()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """What the database freezes is shown, not edited."""
        return FROZEN_WHEN_SOLD if obj is not None and obj.sold else ()

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        """A code is proposed once, for a new meter."""
        return {} if obj else {"code": ("name",)}

    def get_urls(self) -> list[Any]:
        """With the pages of usage."""
        return pages(self) + super().get_urls()

    @display(description="In use", boolean=True, ordering="sold")
    def in_use(self, meter: Any) -> bool:
        """Whether a published price counts with it."""
        return meter.sold

    @action(description="Usage", icon="monitoring", permissions=["usage"])
    def open_usage(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """To the explorer, with this meter."""
        return HttpResponseRedirect(address(self.get_object(request, unquote(object_id))))
