"""Pages of API keys: made and replaced with the secret shown once, revoked, and how they are used."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.html import format_html
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from billing.metering import services
from billing.metering.access import forget
from billing.metering.access.forms import ApiKeyForm, RotateForm
from billing.metering.errors import MeteringError
from billing.metering.keys import state_of
from billing.metering.models import ApiKey
from config import clock
from customers.backoffice import NONE, OfficeAdmin, badge, change_url, granted, leave_dialog, link_to, quantity_text

STATES = {"active": "Active", "expired": "Expired", "revoked": "Revoked"}


class StateFilter(admin.SimpleListFilter):
    """Keys that open the door, and those that do no more."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The three states."""
        return list(STATES.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        """As `keys.state_of` has them."""
        revoked, ended = ~Q(revoked_at=None), Q(expires_at__lte=clock.now())
        chosen = {"active": ~revoked & ~ended, "expired": ended & ~revoked, "revoked": revoked}
        return queryset.filter(chosen.get(self.value() or "", Q()))


@admin.register(ApiKey)
class ApiKeyAdmin(OfficeAdmin):
    """Keys of the systems that use the API: made, shown once, replaced, revoked."""

    form = ApiKeyForm
    list_display = ("name", "prefix", "key_state", "may", "limit", "last_used", "refusals", "ends")
    list_select_related = ("use",)
    list_filter = (StateFilter,)
    search_fields = ("name", "prefix", "default_source")
    actions_detail = ("rotate", "revoke")
    empty_hint = "Make one for each system that sends events or reads usage."
    has_revoke_permission = has_rotate_permission = granted("billing.change_apikey")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[Any, ...]:
        """What is chosen for a new key; all that is known of an old one."""
        if obj is None:
            return (("name", "default_source"), ("scopes", "rate_limit"), "expires_at")
        return (
            ("name", "rate_limit"), ("prefix", "key_state"), ("default_source", "may"), ("expires_at", "revoked_at"),
            ("created_at", "created_by"), ("replaces_key", "replaced_by_key"), ("last_used", "refusals"),
            "last_refused",
        )  # fmt: skip

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Name and limit change; what the key may do does not: make another."""
        if obj is None:
            return ()
        return (
            "prefix", "key_state", "default_source", "may", "expires_at", "revoked_at", "created_at", "created_by",
            "replaces_key", "replaced_by_key", "last_used", "refusals", "last_refused",
        )  # fmt: skip

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """A live key can be replaced; one that is not revoked can be revoked."""
        key = self.get_object(request, unquote(str(object_id)))
        live = key is not None and _state(key) == "active"
        legal = {"rotate": live, "revoke": key is not None and key.revoked_at is None}
        return [each for each in super().get_actions_detail(request, object_id) if legal.get(each.path)]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Change name and limit, or make a key; its secret lives until the answer is written, stored nowhere."""
        if change:
            obj.save(update_fields=[name for name in form.changed_data if name in ("name", "rate_limit")])
            forget()
            return
        with transaction.atomic():
            key, secret = services.create_api_key(
                name=obj.name,
                default_source=obj.default_source,
                scopes=obj.scopes,
                rate_limit=obj.rate_limit,
                expires_at=obj.expires_at,
                user=request.user,
                now=clock.now(),
            )
        obj.pk, obj.prefix, obj.shown_once = key.pk, key.prefix, secret

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """The page with the secret: the only one that ever shows it."""
        return self._secret_page(request, obj, obj.shown_once)

    def _secret_page(self, request: HttpRequest, key: ApiKey, secret: str) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": "Your new API key",
            "opts": self.opts,
            "secret": secret,
            "key": key,
            "sends": ApiKey.Scope.INGEST in key.scopes,
            "reports": key.scopes == [ApiKey.Scope.BOUNCES],
            "bounces_url": request.build_absolute_uri("/mail/bounces"),
            "events_url": request.build_absolute_uri("/api/v1/events"),
            "usage_url": request.build_absolute_uri("/api/v1/usage"),
        }
        page = "billing/admin/apikey_secret.html"
        return TemplateResponse(request, page, context, headers={"Cache-Control": "no-store"})

    @display(description="State")
    def key_state(self, key: ApiKey) -> str:
        """Whether the key opens the door."""
        return badge(STATES[_state(key)], {"Active": "success", "Expired": "warning", "Revoked": "danger"})

    @display(description="May")
    def may(self, key: ApiKey) -> str:
        """What its scopes let it do."""
        return ", ".join(str(ApiKey.Scope(scope).label) for scope in key.scopes)

    @display(description="Events a second", ordering="rate_limit")
    def limit(self, key: ApiKey) -> str:
        """The limit, if any."""
        return _figure(quantity_text(key.rate_limit) if key.rate_limit else "no limit")

    @display(description="Last used", ordering=F("use__last_used_at").desc(nulls_last=True))
    def last_used(self, key: ApiKey) -> str:
        """To about a minute, in UTC."""
        return _moment(getattr(getattr(key, "use", None), "last_used_at", None), "never")

    @display(description="Refused uses", ordering=F("use__refused_count").desc(nulls_last=True))
    def refusals(self, key: ApiKey) -> str:
        """How often it was used after its end."""
        return _figure(quantity_text(getattr(getattr(key, "use", None), "refused_count", 0)))

    @display(description="Last refused")
    def last_refused(self, key: ApiKey) -> str:
        """When it was last used after its end."""
        return _moment(getattr(getattr(key, "use", None), "refused_at", None), "never")

    @display(description="Ends", ordering="expires_at")
    def ends(self, key: ApiKey) -> str:
        """When it ends, or ended."""
        return _moment(key.revoked_at or key.expires_at, NONE)

    @display(description="Replaces")
    def replaces_key(self, key: ApiKey) -> str:
        """The key in whose place it came."""
        return link_to(key.replaces)

    @display(description="Replaced by")
    def replaced_by_key(self, key: ApiKey) -> str:
        """The key that came in its place."""
        return link_to(key.replaced_by.order_by("created_at").last())

    @action(description="Replace", icon="autorenew", permissions=["rotate"])
    def rotate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """A new key for the same sender, the old one ending when the user says."""
        key = self.get_object(request, unquote(object_id))
        form = RotateForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                made, secret = services.rotate_api_key(key=key, user=request.user, now=clock.now(), **form.cleaned_data)
            except MeteringError as error:
                messages.error(request, str(error))
                return redirect(change_url(key))
            self.log_change(request, key, f"Replaced by {made}; ends at {key.expires_at:%Y-%m-%d %H:%M} UTC.")
            self.log_addition(request, made, f"In place of {key}.")
            return self._secret_page(request, made, secret)
        context = {
            **self.admin_site.each_context(request), "title": f"Replace {key}", "opts": self.opts, "key": key,
            "form": form, "back": change_url(key), "media": self.media + form.media,
        }  # fmt: skip
        return TemplateResponse(request, "billing/admin/apikey_rotate.html", context)

    @action(description="Revoke", icon="block", variant=ActionVariant.DANGER, permissions=["revoke"], dialog={
        "title": "Revoke this key?",
        "description": "Whoever still uses it is refused from now on. This cannot be taken back.",
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


def _state(key: ApiKey) -> str:
    """The key's state now."""
    return state_of(revoked_at=key.revoked_at, expires_at=key.expires_at, now=clock.now())


def _figure(text: str) -> str:
    """A number in a column of numbers."""
    return format_html('<span class="mb-money">{}</span>', text)


def _moment(instant: Any, none: str) -> str:
    """An instant for people, in UTC."""
    return f"{instant:%Y-%m-%d %H:%M}" if instant else none
