"""Pages that change, end and undo on a subscription, and show before that which lines it will make."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from unfold.decorators import action

from billing.catalog.changes.checking import last_day, moment_of
from billing.catalog.changes.direction import increase_now
from billing.catalog.changes.models import SubscriptionChange
from billing.catalog.changes.services import change_subscription, end_subscription, undo_change
from billing.catalog.models import Subscription
from billing.catalog.terms.admin import SubscriptionAdmin as Terms
from billing.changing import pages
from billing.changing.forms import ChangeForm, EndForm, UndoForm
from billing.invoicing.preview import Preview, preview
from customers.backoffice import change_url
from customers.models import Contract

FORMS: dict[str, Any] = {"change": ChangeForm, "end": EndForm, "undo": UndoForm}
WORDS = {
    "change": ("Change plan or quantity", "Change", "Changed"),
    "end": ("End a subscription", "End it", "Ended"),
    "undo": ("Undo a change", "Undo it", "Undone"),
}


class SubscriptionAdmin(Terms):
    """Subscriptions with their changes; what is agreed on them is shown as lines before it is made."""

    def get_urls(self) -> list[Any]:
        """With the pages of changes."""
        view = self.admin_site.admin_view(self.alter_view)
        return [
            path("<int:pk>/alter/<slug:verb>/", view, name="billing_changes_alter"),
            path("<int:pk>/alter/<slug:verb>/<int:change>/", view, name="billing_changes_undo"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The subscription with its changes."""
        answer = super().change_view(request, object_id, form_url, extra_context)
        answer.context_data["changes"] = pages.rows_of(answer.context_data["subscription"])  # type: ignore[attr-defined]
        return answer

    def alter_view(self, request: HttpRequest, pk: int, verb: str, change: int | None = None) -> HttpResponse:
        """A change, an end or an undoing: its form, the lines that it will make, and then the doing."""
        subscription = self._subscription(request, pk, change=True)
        if verb not in FORMS or (verb == "undo") != (change is not None):
            raise Http404(f"Nothing can be done to a subscription by “{verb}”.")
        row = get_object_or_404(SubscriptionChange, pk=change, subscription=subscription) if change else None
        form = FORMS[verb](request.POST or None, subscription=subscription)
        title, button, done = WORDS[verb]
        context = {
            "title": title, "form": form, "button": button, "back": change_url(subscription), "verb": verb,
            "undone": row and next(each for each in pages.rows_of(subscription) if each.change.pk == row.pk),
        }  # fmt: skip
        if request.method == "POST" and form.is_valid():
            act = self._act(subscription, verb, form, row)
            if "preview" in request.POST:
                context["preview"] = self._previewed(request, subscription, form, act)
            elif self._done(request, subscription, form, f"{done}.", act):
                return HttpResponseRedirect(change_url(subscription))
        return self._page(request, subscription, "change_form.html", context)

    def _act(
        self, subscription: Subscription, verb: str, form: Any, row: SubscriptionChange | None
    ) -> Callable[..., SubscriptionChange]:
        """The service call that a page means."""
        given, contract = form.cleaned_data, subscription.contract
        if row is not None:
            row.subscription = subscription
            return lambda **who: undo_change(change=row, reason=given["reason"], **who)
        if verb == "end":
            return lambda now, user: end_subscription(
                subscription=subscription, at=last_day(contract, given["when"], given["day"], now),
                options=form.options(), reason=given["reason"], user=user, now=now,
            )  # fmt: skip
        return lambda now, user: change_subscription(
            subscription=subscription, at=_moment(subscription, given, now),
            version=given["version"], quantity=given["quantity"], options=form.options(), reason=given["reason"],
            user=user, now=now,
        )  # fmt: skip

    def lines(self, subscription: Subscription, act: Callable[[], Any], now: datetime) -> Preview:
        """Which lines it will make, once it has taken effect."""
        return preview(
            contract=subscription.contract, act=act, effect=lambda made: pages.effect_of(made) or now, now=now
        )  # fmt: skip


def _moment(subscription: Subscription, given: dict[str, Any], now: datetime) -> datetime:
    """When a change takes effect, as the form says it."""
    if given["when"] == "direction":
        return increase_now(subscription, given["version"], given["quantity"], now)
    return moment_of(subscription.contract, given["when"], given["day"], now)


class ChangeSteps:
    """On the page of a contract: the way to the changes of its subscriptions."""

    def get_actions_detail(self: Any, request: HttpRequest, object_id: Any) -> list[Any]:
        """Changes need something to change."""
        steps: list[Any] = super().get_actions_detail(request, object_id)  # type: ignore[misc]
        if Subscription.objects.filter(contract_id=unquote(str(object_id))).exists():
            return steps
        return [step for step in steps if step.path not in ("change_terms", "end_subscription")]

    @action(description="Change plan or quantity", icon="swap_horiz", permissions=["subscribe"])
    def change_terms(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """To the form that shows the lines first."""
        return self._to(request, object_id, "change")

    @action(description="End a subscription", icon="event_busy", permissions=["subscribe"])
    def end_subscription(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """To the form that shows the lines first."""
        return self._to(request, object_id, "end")

    def _to(self: Any, request: HttpRequest, object_id: str, verb: str) -> HttpResponse:
        contract = self._contract(request, object_id)
        mine = list(contract.subscriptions.all()[:2])
        if len(mine) == 1:
            return HttpResponseRedirect(reverse("admin:billing_changes_alter", args=[mine[0].pk, verb]))
        messages.info(request, "Choose the subscription below, then what changes of it.")
        return HttpResponseRedirect(change_url(contract))


def _with_changes() -> None:
    """Register the pages again: on that of a contract whatever others added to it stays."""
    admin.site.unregister(Subscription)
    admin.site.register(Subscription, SubscriptionAdmin)
    page: Any = type(admin.site.get_model_admin(Contract))
    steps = {"title": "Change", "icon": "edit_calendar", "items": ["change_terms", "end_subscription"]}
    changed = {"actions_detail": (*page.actions_detail, steps), "__doc__": page.__doc__}
    admin.site.unregister(Contract)
    admin.site.register(Contract, type(page.__name__, (ChangeSteps, page), changed))


_with_changes()
