"""Pages of meters and API keys; the pages of usage hang on the meters' addresses."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from billing.metering import services
from billing.metering.errors import MeteringError
from billing.metering.explorer.explorer_page import address
from billing.metering.explorer.urls import pages
from billing.metering.forms import ApiKeyForm, MeterForm
from billing.metering.models import METER_DEFINITION, ApiKey, Meter
from config import clock
from customers.backoffice import OfficeAdmin, badge, change_url, granted, leave_dialog

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


@admin.register(ApiKey)
class ApiKeyAdmin(OfficeAdmin):
    """Keys of the systems that send events: made, shown once, revoked."""

    form = ApiKeyForm
    list_display = ("name", "prefix", "default_source", "key_state", "created_at", "created_by")
    list_select_related = ("created_by",)
    search_fields = ("name", "prefix", "default_source")
    fields = (("name", "default_source"),)
    actions_detail = ("revoke",)
    empty_hint = "Make one for each system that sends events."
    has_revoke_permission = granted("billing.change_apikey")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A key is not edited: make another, then revoke this one."""
        return False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[Any, ...]:
        """A new key has a name and a source; an old one shows all that is kept of it."""
        if obj is None:
            return self.fields
        return (("name", "default_source"), ("prefix", "key_state"), ("created_at", "created_by", "revoked_at"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """See get_fields."""
        return ("prefix", "key_state", "created_at", "created_by", "revoked_at") if obj else ()

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """A live key can be revoked."""
        key = self.get_object(request, unquote(str(object_id)))
        return super().get_actions_detail(request, object_id) if key and key.revoked_at is None else []

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Make the key; its secret lives until the answer is written, and is stored nowhere."""
        with transaction.atomic():
            key, secret = services.create_api_key(
                name=obj.name, default_source=obj.default_source, user=request.user, now=clock.now()
            )
        obj.pk, obj.prefix, obj.shown_once = key.pk, key.prefix, secret

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """The page with the secret: the only one that ever shows it."""
        context = {
            **self.admin_site.each_context(request),
            "title": "Your new API key",
            "opts": self.opts,
            "secret": obj.shown_once,
            "key": obj,
            "events_url": request.build_absolute_uri("/api/v1/events"),
        }
        return TemplateResponse(
            request, "billing/admin/apikey_secret.html", context, headers={"Cache-Control": "no-store"}
        )

    @display(description="State")
    def key_state(self, key: ApiKey) -> str:
        """Whether the key opens the door."""
        return badge("Revoked" if key.revoked_at else "Active", {"Active": "success", "Revoked": "danger"})

    @action(description="Revoke", icon="block", variant=ActionVariant.DANGER, permissions=["revoke"], dialog={
        "title": "Revoke this key?",
        "description": "Whoever still sends events with it is refused from now on. This cannot be taken back.",
        "form_class": BaseDialogForm,
        "form_submit_text": "Revoke",
    })  # fmt: skip
    def revoke(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Close the door."""
        key = self.get_object(request, unquote(object_id))
        try:
            with transaction.atomic():
                services.revoke_api_key(key=key, now=clock.now())
        except MeteringError as error:
            messages.error(request, str(error))
        else:
            self.log_change(request, key, "Revoked.")
            messages.success(request, f"{key} is revoked.")
        return leave_dialog(change_url(key))
