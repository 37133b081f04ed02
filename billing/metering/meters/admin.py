"""Pages of meters; the pages of usage hang on their addresses."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path
from django.utils.html import format_html, format_html_join
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import action, display

from billing.metering.explorer.explorer_page import address
from billing.metering.explorer.urls import pages
from billing.metering.meters.forms import MeterForm
from billing.metering.meters.samples import known_types
from billing.metering.meters.services import revise_meter
from billing.metering.meters.views import preview
from billing.metering.models import METER_DEFINITION, Meter
from config import clock
from customers.backoffice import NONE, OfficeAdmin, badge, change_url, granted, link_to


class VersionsFilter(DropdownFilter):
    """Current versions, unless all are asked for."""

    title = "version"
    parameter_name = "versions"
    all_option = ("", "Current versions")

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """All, or those that a newer one took the place of."""
        return [("all", "All versions"), ("superseded", "Superseded versions")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Those asked for."""
        if self.value() == "all":
            return queryset
        return queryset.exclude(superseded_at=None) if self.value() else queryset.filter(superseded_at=None)


@admin.register(Meter)
class MeterAdmin(OfficeAdmin):
    """How events are counted. One that a published price counts with changes by a new version."""

    form = MeterForm
    list_display = ("name", "code", "version_no", "event_type", "aggregation", "value", "unit", "in_use")
    list_filter = (VersionsFilter, ("aggregation", ChoicesDropdownFilter))
    empty_hint = "A meter says how events become a quantity that can be priced."
    search_fields = ("name", "code", "event_type")
    readonly_fields = ("versions",)
    actions_detail = ("open_usage",)
    has_usage_permission = granted("billing.view_meter")
    change_form_before_template = "billing/admin/meter_notice.html"
    change_form_after_template = "billing/admin/meter_panel.html"

    class Media:
        js = ("admin/meter_form.js",)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """What counts, and how the quantity is made of it."""
        return [
            (None, {"fields": (("name", "code"), ("event_type", "unit"), *(("versions",) if obj else ()))}),
            ("What counts", {"fields": ("aggregation", "value", "filters", "group_by")}),
            (
                "How the quantity is made",
                {"fields": (("rounding_mode", "rounding_places"), ("recurring", "prorate"), "operation")},
            ),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Meter]:
        """With whether a published price counts with it."""
        return super().get_queryset(request).with_use()

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """Whoever chooses a meter is offered current versions."""
        if request.path.endswith("/autocomplete/"):
            queryset = queryset.current()
        return super().get_search_results(request, queryset, search_term)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """The code of a meter in use stays."""
        return ("versions", "code") if obj is not None and obj.sold else ("versions",)

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        """A code is proposed once, for a new meter."""
        return {} if obj else {"code": ("name",)}

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A version that a newer one took the place of stays as it is."""
        return super().has_change_permission(request, obj) and (obj is None or obj.superseded_at is None)

    def get_urls(self) -> list[Any]:
        """With the preview and the pages of usage."""
        here = {"model_admin": self}
        view = self.admin_site.admin_view
        own = [path("preview/", view(preview), here, name="billing_meter_preview"), *pages(self)]
        return own + super().get_urls()

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """With the types of events that are known, to choose from."""
        context = {"event_types": known_types(), **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, context)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """A new meter as it is; a change by the service, which may make a new version of it."""
        if not change:
            return super().save_model(request, obj, form, change)
        changes = {name: getattr(obj, name) for name in ("name", "code", "unit", *METER_DEFINITION)}
        with transaction.atomic():
            revised = revise_meter(meter=obj, changes=changes, now=clock.now())
        obj.pk, obj.version = revised.pk, revised.version
        return None

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """Where a new version was made, say so, and go on with that."""
        made = str(obj.pk) != str(request.resolver_match.kwargs.get("object_id"))  # type: ignore[union-attr]
        if made:
            messages.info(request, f"Published prices count with the version before: this is version {obj.version}.")
        if made and "_continue" in request.POST:
            return HttpResponseRedirect(change_url(obj))
        return super().response_change(request, obj)

    @display(description="Version", ordering="version")
    def version_no(self, meter: Any) -> str:
        """Its number, and whether another took its place."""
        return f"{meter.version}, superseded" if meter.superseded_at else str(meter.version)

    @display(description="Priced", ordering="sold")
    def in_use(self, meter: Any) -> str:
        """Whether a published price counts with it."""
        return badge("Priced", {"Priced": "success"}) if meter.sold else NONE

    @display(description="Versions")
    def versions(self, meter: Any) -> str:
        """All versions of the code, the latest first."""
        rows = Meter.objects.filter(code=meter.code).order_by("-version")
        return format_html_join(" · ", "{}", ((self._version(row, meter),) for row in rows))

    def _version(self, row: Meter, shown: Meter) -> str:
        """One version: its number, and until when it was the current one."""
        until = f" until {row.superseded_at:%Y-%m-%d}" if row.superseded_at else " (current)"
        if row.pk == shown.pk:
            return format_html("<strong>{}{}</strong>", row.version, until)
        return format_html("{}{}", link_to(row, str(row.version)), until)

    @action(description="Usage", icon="monitoring", permissions=["usage"])
    def open_usage(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """To the explorer, with this meter."""
        return HttpResponseRedirect(address(self.get_object(request, unquote(object_id))))
