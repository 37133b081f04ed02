"""The page of a contract, with its subscriptions: in place of the one that customers register."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import Count, Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from billing.catalog import services
from billing.catalog.errors import CatalogError
from billing.catalog.forms import SubscribeForm
from billing.catalog.models import Subscription, SubscriptionInterval
from billing.periods import local_date
from config import clock
from customers.admin import ContractAdmin as TermsAdmin
from customers.backoffice import NONE, RecordInline, change_url, granted, leave_dialog, link_to, quantity_text
from customers.models import Contract


class SubscriptionInline(RecordInline):
    """The lines of the contract, each with what it binds from when to when."""

    model = Subscription
    fields = readonly_fields = ("page", "product", "terms")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subscription]:
        """With the intervals in force: superseded ones stay in the books but are not terms."""
        current = SubscriptionInterval.objects.filter(superseded_at=None).select_related("version__plan")
        return (
            super()
            .get_queryset(request)
            .select_related("contract", "product")
            .annotate(own=Count("terms", filter=Q(terms__superseded_at=None)))
            .prefetch_related(Prefetch("intervals", current.order_by("start"), to_attr="current"))
        )

    @display(description="Subscription")
    def page(self, subscription: Any) -> SafeString:
        """To its own page, where terms beyond the plan are agreed; how many there are."""
        own = f" · {subscription.own} own term{'' if subscription.own == 1 else 's'}" if subscription.own else ""
        return format_html("{}{}", link_to(subscription, subscription.code), own)

    @display(description="Terms")
    def terms(self, subscription: Any) -> SafeString | str:
        """A line an interval: plan version, quantity, first day and the day after the last."""
        zone = subscription.contract.timezone
        rows = (
            (
                item.version,
                quantity_text(item.quantity),
                local_date(item.start, zone),
                f"to {local_date(item.end, zone)} (exclusive)" if item.end else "on",
            )
            for item in subscription.current
        )
        return format_html_join("", '<div class="mb-figure-inline">{} × {}, from {} {}</div>', rows) or NONE


class ContractAdmin(TermsAdmin):
    """Terms as customers know them, and the button to subscribe; changes and ends have pages (billing/changing)."""

    inlines = (SubscriptionInline,)
    actions_detail = (
        "activate",
        "subscribe",
    )
    has_subscribe_permission = granted("billing.add_subscription")

    @action(
        description="Subscribe to a plan",
        icon="add",
        variant=ActionVariant.PRIMARY,
        permissions=["subscribe"],
        dialog={
            "title": "Subscribe to a plan",
            "description": "Only published plan versions can be chosen.",
            "form_class": SubscribeForm,
            "form_submit_text": "Subscribe",
        },
    )
    def subscribe(self, request: HttpRequest, form: SubscribeForm, object_id: str) -> HttpResponse:
        """A new line of the contract."""
        contract, given = self._contract(request, object_id), form.cleaned_data
        return self._do(
            request,
            contract,
            lambda: services.subscribe(
                contract=contract,
                version=given["version"],
                code=given["code"],
                start=given["start"],
                end=given["end"],
                quantity=given["quantity"],
                now=clock.now(),
            ),
            f"{given['code']}: {given['version']} from {given['start']}.",
        )

    def _contract(self, request: HttpRequest, object_id: str) -> Contract:
        return self.get_object(request, unquote(object_id))

    def _do(self, request: HttpRequest, contract: Contract, verb: Callable[[], Any], done: str) -> HttpResponse:
        """Run one verb of a dialog, and go back to the page."""
        self.carry_out(request, contract, done, verb, refusals=CatalogError)
        return leave_dialog(change_url(contract))


admin.site.unregister(Contract)
admin.site.register(Contract, ContractAdmin)
