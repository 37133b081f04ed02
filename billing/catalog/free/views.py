"""The pages on which a trial or a pause is stated, ended and undone: a part of the subscription's."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path

from billing.catalog.free import services
from billing.catalog.free.forms import PauseForm, TrialForm
from billing.catalog.free.models import SubscriptionFreeTime
from billing.catalog.models import Subscription
from billing.catalog.terms import forms
from billing.periods import local_date
from customers.backoffice import change_url

FORMS: dict[str, type[forms.TermForm]] = {"trial": TrialForm, "pause": PauseForm}


@dataclass(frozen=True)
class Row:
    """A trial or a pause of the table, its days in the contract's zone."""

    free: SubscriptionFreeTime
    start: date
    end: date | None


def rows_of(subscription: Subscription) -> list[Row]:
    """The trials and pauses that stand; one query."""
    standing = (
        SubscriptionFreeTime.objects.filter(subscription=subscription, undone_at=None)
        .select_related("recorded_by")
        .order_by("start")
    )
    return [_row(each, subscription) for each in standing]


def _row(free: SubscriptionFreeTime, subscription: Subscription) -> Row:
    zone = subscription.contract.timezone
    return Row(free, local_date(free.start, zone), local_date(free.end, zone) if free.end else None)


class FreeViews:
    """Two more pages of a subscription."""

    def get_urls(self: Any) -> list[Any]:
        """With ours."""
        view = self.admin_site.admin_view
        return [
            path("<int:pk>/free/<slug:kind>/", view(self.free_view), name="billing_free_add"),
            path("<int:pk>/free/<int:free>/<slug:verb>/", view(self.stop_free_view), name="billing_free_stop"),
            *super().get_urls(),  # type: ignore[misc]
        ]

    def free_view(self: Any, request: HttpRequest, pk: int, kind: str) -> HttpResponse:
        """The form of a trial or a pause; once it holds, it stands."""
        subscription = self._subscription(request, pk, change=True)
        if kind not in FORMS:
            raise Http404(f"A subscription has trials and pauses, no “{kind}”.")
        form = FORMS[kind](request.POST or None, subscription=subscription)
        sent = request.method == "POST" and form.is_valid()
        if sent and self._done(request, subscription, form, f"{form.title}: recorded.", form.agree):
            return HttpResponseRedirect(change_url(subscription))
        context = {"title": form.title, "form": form, "back": change_url(subscription)}
        return self._page(request, subscription, "terms_form.html", context)  # type: ignore[no-any-return]

    def stop_free_view(self: Any, request: HttpRequest, pk: int, free: int, verb: str) -> HttpResponse:
        """End a trial or a pause on a day, or undo it."""
        subscription = self._subscription(request, pk, change=True)
        row = get_object_or_404(SubscriptionFreeTime, pk=free, subscription=subscription)
        row.subscription = subscription
        if verb not in ("end", "undo"):
            raise Http404(f"Nothing can be done to a trial or a pause by “{verb}”.")
        form: Any = (forms.EndForm if verb == "end" else forms.ReasonForm)(request.POST or None)
        done = f"{'New end' if verb == 'end' else 'Undone'}: {row}."
        if (
            request.method == "POST"
            and form.is_valid()
            and self._done(request, subscription, form, done, _stopping(row, verb, form))
        ):
            return HttpResponseRedirect(change_url(subscription))
        context = {
            "title": f"{'End' if verb == 'end' else 'Undo'} a {row.get_kind_display().lower()}", "form": form,
            "row": _row(row, subscription), "verb": verb, "back": change_url(subscription),
        }  # fmt: skip
        return self._page(request, subscription, "free_stop.html", context)  # type: ignore[no-any-return]


def _stopping(row: SubscriptionFreeTime, verb: str, form: Any) -> Any:
    """The service call that a button means."""
    given = form.cleaned_data
    if verb == "end":
        return lambda **who: services.end_free_time(free=row, at=given["at"], reason=given["reason"], **who)
    return lambda **who: services.undo_free_time(free=row, reason=given["reason"], **who)
