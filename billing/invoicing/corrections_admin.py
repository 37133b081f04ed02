"""Pages of corrections and backfills. They live here because they show what invoices would come to."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from billing.invoicing.correction_preview import Preview, preview
from billing.invoicing.forms import ReasonForm
from billing.metering.corrections import services
from billing.metering.corrections.criteria import Criteria
from billing.metering.corrections.errors import CorrectionError
from billing.metering.corrections.forms import CorrectionForm
from billing.metering.corrections.models import Backfill, Correction
from config import clock
from customers.backoffice import (
    RecordAdmin,
    amount_text,
    badge,
    change_url,
    granted,
    leave_dialog,
    link_to,
    quantity_text,
)

MAY_CORRECT = "billing.add_correction"


def _texts(shown: Preview) -> dict[str, Any]:
    """A preview's figures as people read them."""
    return {
        "events": quantity_text(shown.selected.events),
        "subjects": quantity_text(len(shown.selected.subjects)),
        "customers": quantity_text(shown.customers),
        "effects": [
            {
                "customer": each.customer, "meter": each.meter, "month": each.month,
                "before": quantity_text(each.before), "after": quantity_text(each.after),
                "change": quantity_text(each.change),
            }
            for each in shown.effects
        ],
        "consequences": [
            {
                "customer": each.customer, "name": each.name, "cycle": each.cycle,
                "billed": amount_text(each.billed, each.currency), "amount": amount_text(each.amount, each.currency),
            }
            for each in shown.consequences
        ],
    }  # fmt: skip


@admin.register(Correction)
class CorrectionAdmin(RecordAdmin):
    """What was corrected, by whom and why; a new one is previewed before it is made."""

    list_display = ("what", "events_text", "reason", "created_by", "created_at", "state")
    list_filter = (("kind", ChoicesDropdownFilter),)
    list_select_related = ("created_by", "undone_by")
    search_fields = ("reason",)
    fields = (
        ("kind", "events_text", "state"), "reason", ("created_by", "created_at"), ("criteria", "changes"), "backfill",
        "undone",
    )  # fmt: skip
    readonly_fields = ("events_text", "state", "undone")
    actions_detail = ("undo",)
    empty_hint = "Events that are wrong are voided or replaced here: never edited, and always undoable."
    has_undo_permission = granted(MAY_CORRECT)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Those who may correct."""
        return bool(request.user.has_perm(MAY_CORRECT))

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Say which events and what to do, look at the effect, confirm."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = CorrectionForm(request.POST or None, initial=request.GET.dict())
        shown: Preview | None = None
        if request.method == "POST" and form.is_valid():
            try:
                if "confirm" in request.POST:
                    made = self._make(request, form, int(request.POST["confirm"]))
                    messages.success(request, f"{made}: done. The next rollup and billing run take it in.")
                    return redirect(change_url(made))
                shown = preview(form.criteria, form.changes, clock.now())
            except (CorrectionError, ValueError) as error:
                form.add_error(None, str(error))
        context = {
            **self.admin_site.each_context(request), "title": "Correct usage", "opts": self.opts, "form": form,
            "preview": shown, "shown": _texts(shown) if shown else None,
        }  # fmt: skip
        return TemplateResponse(request, "billing/admin/correction.html", context)

    def _make(self, request: HttpRequest, form: CorrectionForm, expected: int) -> Correction:
        """Make the correction, if it still concerns the events that were shown."""
        asked: dict[str, Any] = {
            "criteria": form.criteria, "reason": form.cleaned_data["reason"], "user": request.user, "now": clock.now(),
            "expected": expected,
        }  # fmt: skip
        made = services.replace(changes=form.changes, **asked) if form.changes else services.void(**asked)
        self.log_addition(request, made, f"{made}.")
        return made

    @display(description="What", ordering="kind")
    def what(self, correction: Correction) -> str:
        """Void, replace, revert or undo."""
        return correction.get_kind_display()

    @display(description="Events", ordering="events")
    def events_text(self, correction: Correction) -> str:
        """How many."""
        return quantity_text(correction.events)

    @display(description="State")
    def state(self, correction: Correction) -> str:
        """Whether it was undone."""
        return badge("Undone" if hasattr(correction, "undone_by") else "In force", {"In force": "success"})

    @display(description="Undone by, or undoes")
    def undone(self, correction: Correction) -> str:
        """The other half of an undone correction."""
        return link_to(correction.undoes or getattr(correction, "undone_by", None))

    @action(description="Undo", icon="undo", variant=ActionVariant.DANGER, permissions=["undo"], dialog={
        "title": "Undo this correction?",
        "description": "Its events count again as they did before, and what replaced them counts no more.",
        "form_class": ReasonForm,
        "form_submit_text": "Undo",
    })  # fmt: skip
    def undo(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        """Take it back, as a correction of its own."""
        correction = self.get_object(request, unquote(object_id))
        try:
            made = services.undo(
                correction=correction, reason=form.cleaned_data["reason"], user=request.user, now=clock.now()
            )
        except CorrectionError as error:
            messages.error(request, str(error))
            return leave_dialog(change_url(correction))
        self.log_change(request, correction, "Undone.")
        messages.success(request, "The correction is undone.")
        return leave_dialog(change_url(made))


@admin.register(Backfill)
class BackfillAdmin(RecordAdmin):
    """Usage that came in together, by name, and can be taken back as a whole."""

    list_display = ("name", "reason", "created_by", "created_at", "state")
    list_select_related = ("created_by",)
    search_fields = ("name", "reason")
    fields = (("name", "state"), "reason", ("created_by", "created_at"), ("events_text", "span"))
    readonly_fields = ("state", "events_text", "span")
    actions_detail = ("revert",)
    empty_hint = "An upload makes one, and so may whoever sends old usage."
    has_revert_permission = granted(MAY_CORRECT)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Backfill]:
        """With how often it was taken back."""
        return super().get_queryset(request).annotate(reverts=Count("corrections"))

    @display(description="State")
    def state(self, backfill: Any) -> str:
        """Whether it counts."""
        return badge("Reverted" if backfill.reverts else "Counts", {"Counts": "success", "Reverted": "danger"})

    @display(description="Events that count")
    def events_text(self, backfill: Backfill) -> str:
        """How many of its events count."""
        return quantity_text(self._selected(backfill).events)

    @display(description="From the first to the last")
    def span(self, backfill: Backfill) -> str:
        """When they happened."""
        found = self._selected(backfill)
        return f"{found.first:%Y-%m-%d %H:%M} to {found.last:%Y-%m-%d %H:%M} UTC" if found.first and found.last else "-"

    def _selected(self, backfill: Any) -> Any:
        """Its events, asked for once a page."""
        if not hasattr(backfill, "selected"):
            from billing.metering.corrections.queries import selected

            backfill.selected = selected(Criteria(backfill=backfill.pk))
        return backfill.selected

    @action(description="Revert", icon="undo", variant=ActionVariant.DANGER, permissions=["revert"], dialog={
        "title": "Revert this backfill?",
        "description": "None of its events counts any more. That can be undone. What they were invoiced for goes onto "
        "the next invoice as a credit.",
        "form_class": ReasonForm,
        "form_submit_text": "Revert",
    })  # fmt: skip
    def revert(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        """Take all of it back."""
        backfill = self.get_object(request, unquote(object_id))
        try:
            with transaction.atomic():
                made = services.revert(
                    backfill=backfill, reason=form.cleaned_data["reason"], user=request.user, now=clock.now()
                )
        except CorrectionError as error:
            messages.error(request, str(error))
            return leave_dialog(change_url(backfill))
        self.log_change(request, backfill, "Reverted.")
        messages.success(request, f"{backfill} is reverted: {quantity_text(made.events)} events count no more.")
        return leave_dialog(change_url(made))
