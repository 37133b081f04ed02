"""Pages of a subscription: what it binds, what was agreed beyond the plan, and what holds on a day."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import display

from billing.catalog.agreements.timeline import timeline
from billing.catalog.errors import CatalogError
from billing.catalog.free.views import FreeViews, rows_of
from billing.catalog.models import Subscription
from billing.catalog.terms import forms, pages, row_forms, services
from billing.catalog.terms.models import SubscriptionTerm
from billing.periods import local_date
from config import clock
from customers.backoffice import RecordAdmin, change_url, link_to, quantity_text

FORMS: dict[str, type[forms.TermForm]] = {
    "price": forms.PriceForm, "factor": forms.FactorForm, "tiers": row_forms.TiersForm,
    "discount": forms.DiscountForm, "allowance": forms.AllowanceForm, "limits": forms.LimitsForm,
    "quantity": forms.QuantityForm, "ramp": row_forms.RampForm, "commitment": forms.CommitmentForm,
    "spend": forms.SpendForm, "add": row_forms.AddForm, "remove": forms.RemoveForm, "part": row_forms.NarrowForm,
    "meter": forms.MeterForm,
}  # fmt: skip
"""The kinds of terms by the last part of their address, in the order in which they are offered."""

ICONS = {
    "price": "sell", "factor": "percent", "tiers": "stairs", "discount": "loyalty", "allowance": "redeem",
    "limits": "height", "quantity": "tag", "ramp": "trending_up", "commitment": "handshake", "spend": "account_balance",
    "add": "add_circle", "remove": "remove_circle", "part": "filter_alt", "meter": "speed",
}  # fmt: skip


@admin.register(Subscription)
class SubscriptionAdmin(FreeViews, RecordAdmin):
    """Subscriptions with what was agreed beyond their plans."""

    list_display = ("__str__", "customer_link", "product", "since", "own_count")
    list_filter = (("product", RelatedDropdownFilter),)
    list_select_related = ("contract__customer", "product")
    search_fields = ("contract__number", "code", "contract__customer__legal_name", "contract__customer__external_id")
    search_help_text = "Contract number, subscription, customer's name or your own id of the customer"
    empty_hint = "Open a contract and press “Subscribe to a plan”."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subscription]:
        """With the number of its own terms that stand."""
        current = SubscriptionTerm.objects.filter(subscription=OuterRef("pk"), superseded_at=None)
        counted = current.order_by().values("subscription").annotate(number=Count("pk")).values("number")
        return super().get_queryset(request).annotate(own=Coalesce(Subquery(counted), 0))

    @display(description="Customer", ordering="contract__customer__legal_name")
    def customer_link(self, subscription: Subscription) -> str:
        """The customer, one click away."""
        return link_to(subscription.contract.customer)

    @display(description="Since", ordering="created_at")
    def since(self, subscription: Subscription) -> date:
        """The day on which it was made."""
        return local_date(subscription.created_at, subscription.contract.timezone)

    @display(description="Own terms", ordering="own")
    def own_count(self, subscription: Any) -> int:
        """How many terms stand beyond the plan."""
        return subscription.own

    def get_urls(self) -> list[Any]:
        """With the pages on which terms are agreed, ended, undone and looked at."""
        view = self.admin_site.admin_view
        own = [
            path("<int:pk>/agree/", view(self.choose_view), name="billing_terms_choose"),
            path("<int:pk>/agree/<slug:kind>/", view(self.agree_view), name="billing_terms_agree"),
            path("<int:pk>/on/", view(self.on_view), name="billing_terms_on"),
            path("<int:pk>/term/<int:term>/<slug:verb>/", view(self.stop_view), name="billing_terms_stop"),
        ]
        return own + super().get_urls()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The subscription with its terms."""
        subscription = self._subscription(request, object_id)
        zone, now = subscription.contract.timezone, clock.now()
        rows = pages.rows_of(subscription, now)
        bound = subscription.intervals.filter(superseded_at=None).select_related("version__plan").order_by("start")
        context = {
            "title": str(subscription),
            "subscription": subscription,
            "bound": [
                (link_to(each.version), quantity_text(each.quantity), local_date(each.start, zone),
                 local_date(each.end, zone) if each.end else None)
                for each in bound
            ],
            "rows": [row for row in rows if row.term.superseded_at is None],
            "timeline": timeline(rows),
            "free": rows_of(subscription),
            "cadence": pages.cadence_in_words(subscription.contract.cadence),
            "may": self._may(request),
        }  # fmt: skip
        return self._page(request, subscription, "terms.html", context)

    def choose_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What is agreed? The kinds, each in a sentence."""
        subscription = self._subscription(request, pk, change=True)
        kinds = [
            (reverse("admin:billing_terms_agree", args=[pk, name]), ICONS[name], form.title, form.about)
            for name, form in FORMS.items()
        ]
        return self._page(request, subscription, "terms_choose.html", {"title": "Agree a term", "kinds": kinds})

    def agree_view(self, request: HttpRequest, pk: int, kind: str) -> HttpResponse:
        """The form of a kind; once it holds, the term stands."""
        subscription = self._subscription(request, pk, change=True)
        if kind not in FORMS:
            raise Http404(f"There is no kind of term “{kind}”.")
        form = FORMS[kind](request.POST or None, subscription=subscription)
        context = {"title": form.title, "form": form, "back": change_url(subscription)}
        if request.method == "POST" and form.is_valid():
            if "preview" in request.POST:
                context["preview"] = self._previewed(request, subscription, form, form.agree)
            elif self._done(request, subscription, form, f"{form.title}: agreed.", form.agree):
                return HttpResponseRedirect(change_url(subscription))
        return self._page(request, subscription, "terms_form.html", context)

    def stop_view(self, request: HttpRequest, pk: int, term: int, verb: str) -> HttpResponse:
        """End a term on a day, or undo it."""
        subscription = self._subscription(request, pk, change=True)
        row = get_object_or_404(SubscriptionTerm.objects.select_related("code"), pk=term, subscription=subscription)
        row.subscription = subscription
        if verb not in ("end", "undo", "undo-ramp"):
            raise Http404(f"Nothing can be done to a term by “{verb}”.")
        form: Any = (forms.EndForm if verb == "end" else forms.ReasonForm)(request.POST or None)
        shown = next(each for each in pages.rows_of(subscription, clock.now()) if each.term.pk == row.pk)
        title = {"end": "End a term", "undo": "Undo a term", "undo-ramp": "Undo a ramp"}[verb]
        context = {"title": title, "form": form, "row": shown, "verb": verb, "back": change_url(subscription)}
        if request.method == "POST" and form.is_valid():
            done, act = "Ended" if verb == "end" else "Undone", self._stopping(row, verb, form)
            if "preview" in request.POST:
                context["preview"] = self._previewed(request, subscription, form, act)
            elif self._done(request, subscription, form, f"{done}: {row}.", act):
                return HttpResponseRedirect(change_url(subscription))
        return self._page(request, subscription, "terms_stop.html", context)

    @staticmethod
    def _stopping(row: SubscriptionTerm, verb: str, form: Any) -> Any:
        """The service call that a button means."""
        given = form.cleaned_data
        if verb == "end":
            return lambda **who: services.end_term(term=row, at=given["at"], reason=given["reason"], **who)
        whole = verb == "undo-ramp"
        return lambda **who: services.undo_term(term=row, whole_ramp=whole, reason=given["reason"], **who)

    def on_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Every charge in force on a day, in words, and where each part of it comes from."""
        subscription = self._subscription(request, pk)
        today = local_date(clock.now(), subscription.contract.timezone)
        try:
            day = date.fromisoformat(request.GET.get("on", ""))
        except ValueError:
            day = today
        shown = pages.on_day(subscription, day)
        context = {"title": "Terms in force", "day": day, "today": today, "shown": shown}
        return self._page(request, subscription, "terms_on.html", context)

    def _done(self, request: HttpRequest, subscription: Subscription, form: Any, done: str, verb: Any) -> bool:
        """Run one verb and record it; what it refuses stands on the form."""
        return self.carry_out(
            request, subscription, done, lambda: verb(user=request.user, now=clock.now()), refusals=CatalogError,
            form=form, after=" The next billing run counts it.",
        )  # fmt: skip

    def _previewed(self, request: HttpRequest, subscription: Subscription, form: Any, verb: Any) -> Any:
        """Which lines a verb would make; what it refuses stands on the form."""
        now = clock.now()
        try:
            with transaction.atomic():
                found = self.lines(subscription, lambda: verb(user=request.user, now=now), now)
                transaction.set_rollback(True)
        except CatalogError as error:
            form.add_error(None, str(error))
            return None
        return found

    def lines(self, subscription: Subscription, act: Callable[[], Any], now: datetime) -> Any:
        """Which lines `act` would make; who bills (billing/changing) tells it, the catalog cannot."""
        return None

    def _subscription(self, request: HttpRequest, pk: Any, *, change: bool = False) -> Subscription:
        """The subscription, for those who may see it, or with `change` agree its terms."""
        if not self.has_view_permission(request) or (change and not self._may(request)):
            raise PermissionDenied
        subscriptions = Subscription.objects.select_related("contract__customer", "contract__entity", "product")
        return get_object_or_404(subscriptions, pk=pk)

    @staticmethod
    def _may(request: HttpRequest) -> bool:
        """Who may subscribe customers may agree their terms."""
        return bool(request.user.has_perm("billing.add_subscription"))

    def _page(
        self, request: HttpRequest, subscription: Subscription, template: str, context: dict[str, Any]
    ) -> TemplateResponse:
        shared = {**self.admin_site.each_context(request), "opts": self.opts, "original": subscription,
                  "subscription": subscription, "media": self.media}  # fmt: skip
        return TemplateResponse(request, f"billing/admin/{template}", shared | context)
