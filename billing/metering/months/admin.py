"""The page of months: how large they are, where they lie, and what can be done with them."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.urls import path
from django.utils.html import format_html
from django_q.tasks import async_task
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from billing.metering.health.page import ingest_health
from billing.metering.months import queries, services
from billing.metering.months.errors import MonthError
from billing.metering.months.models import EventMonth
from billing.metering.months.states import MOVES, MonthState
from config import clock
from customers.backoffice import NONE, RecordAdmin, badge, change_url, granted, leave_dialog, quantity_text

BADGES = {"Live": "success", "Exported": "info", "Detached": "warning"}
AT_ONCE = 30_000_000
"""Bytes of a table up to which a month is worked on while the page waits; larger ones are the worker's."""

WORK = "billing.metering.months.tasks.work"
LONGEST = 12 * 3600
"""Seconds that the worker may take for a month."""


def _dialog(title: str, text: str, button: str) -> dict[str, Any]:
    return {"title": title, "description": text, "form_class": BaseDialogForm, "form_submit_text": button}


EXPORT = _dialog(
    "Export this month?",
    "Its events are written to a compressed file in the archive folder. Nothing changes here.",
    "Export",
)
DETACH = _dialog(
    "Detach this month?",
    "Its table is dropped once the file is verified. Ids stay known and late events are kept, but what needs its"
    " events says “restore first”. Keep a copy of the file elsewhere.",
    "Detach",
)
RESTORE = _dialog("Restore this month?", "Its events are put back, beside those that came late.", "Restore")


@admin.register(EventMonth)
class EventMonthAdmin(RecordAdmin):
    """Months of events, each with its size and state."""

    list_display = ("name", "state_badge", "here_count", "size_count", "exported_count", "exported_at", "doing")
    list_filter = (("state", ChoicesDropdownFilter),)
    list_display_links = ("name",)
    fieldsets = (
        (None, {"fields": (("name", "state_badge"), ("here_count", "size_count"), "doing")}),
        (
            "In the archive",
            {"fields": (
                ("file", "file_size"), "sha256", ("exported_count", "first_at", "last_at"),
                ("exported_at", "exported_by"), ("detached_at", "detached_by"), ("restored_at", "restored_by"),
            )},
        ),
    )  # fmt: skip
    actions_detail = ("export", "detach", "restore")
    empty_hint = "The first event of a month makes its table; a task makes those of the next three months."
    has_archive_permission = granted("billing.change_eventmonth")

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """The list, with the sizes of its rows and who works on them, in three queries."""
        changes = super().get_changelist_instance(request)
        _measure(changes.result_list)
        return changes

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> EventMonth | None:
        """The month, with its size."""
        month = super().get_object(request, object_id, from_field)
        if month is not None:
            _measure([month])
        return month

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """What the month's state allows, while nobody works on it."""
        month: Any = self.get_object(request, unquote(str(object_id)))
        if month is None or month.is_busy:
            return []
        allowed = {verb for verb, states in MOVES.items() if MonthState(month.state) in states}
        return [each for each in super().get_actions_detail(request, object_id) if each.path in allowed]

    def get_urls(self) -> list[Any]:
        """With the page of ingest."""
        view = self.admin_site.admin_view(ingest_health)
        return [path("health/", view, {"model_admin": self}, name="billing_ingest_health"), *super().get_urls()]

    @display(description="Month", ordering="month")
    def name(self, month: EventMonth) -> str:
        """“2023-11”."""
        return str(month)

    @display(description="State", ordering="state")
    def state_badge(self, month: EventMonth) -> str:
        """Where its events are."""
        return badge(month.get_state_display(), BADGES)

    @display(description="Events here")
    def here_count(self, month: Any) -> str:
        """How many events its table holds; of a detached month those that came late."""
        if month.table is None:
            return NONE
        exact, events = month.table.exact, month.table.events
        count = quantity_text(events) if exact else f"about {quantity_text(round(events, -3) or events)}"
        return f"{count} late" if month.state == MonthState.DETACHED else count

    @display(description="Size")
    def size_count(self, month: Any) -> str:
        """Of its table, with indexes."""
        return NONE if month.table is None else filesizeformat(month.table.bytes)

    @display(description="Events in the file", ordering="events")
    def exported_count(self, month: EventMonth) -> str:
        """How many events the file holds."""
        return quantity_text(month.events)

    @display(description="File size")
    def file_size(self, month: EventMonth) -> str:
        """Of the archive file."""
        return NONE if month.size is None else filesizeformat(month.size)

    @display(description="Work")
    def doing(self, month: Any) -> str:
        """What is being done with it, or why that failed."""
        if month.is_busy:
            done = f": {quantity_text(month.progress)} events so far" if month.progress else ""
            return f"{(month.task or 'work').capitalize()} is under way{done}"
        if month.task:
            return f"{month.task.capitalize()} waits for a worker (qcluster)"
        late = month.table.events - (month.events or 0) if month.table and month.table.exact else 0
        if month.state == MonthState.EXPORTED and late and not month.trouble:
            return f"{quantity_text(late)} events came since the export"
        return format_html('<span class="mb-negative">{}</span>', month.trouble) if month.trouble else NONE

    @action(description="Export", icon="archive", permissions=["archive"], dialog=EXPORT)
    def export(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Write the file."""
        return self._do(request, object_id, "export", services.export)

    @action(
        description="Detach", icon="inventory", variant=ActionVariant.DANGER, permissions=["archive"], dialog=DETACH
    )
    def detach(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Drop the table."""
        return self._do(request, object_id, "detach", services.detach)

    @action(
        description="Restore", icon="unarchive", variant=ActionVariant.PRIMARY, permissions=["archive"], dialog=RESTORE
    )
    def restore(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Put the events back."""
        return self._do(request, object_id, "restore", services.restore)

    def _do(self, request: HttpRequest, object_id: str, verb: str, work: Callable[..., EventMonth]) -> HttpResponse:
        """At once for a small month, by the worker for a large one."""
        month: Any = self.get_object(request, unquote(object_id))
        bytes_ = max(month.table.bytes if month.table else 0, 5 * (month.size or 0))
        if bytes_ > AT_ONCE:
            with transaction.atomic():
                services.queue(month=str(month), verb=verb)
                async_task(WORK, verb, str(month), request.user.pk, timeout=LONGEST)
            messages.success(request, f"{verb.capitalize()} of {month} is queued: this page says how far it is.")
            return leave_dialog(change_url(month))
        try:
            work(month=str(month), now=clock.now(), user=request.user)
        except MonthError as error:
            messages.error(request, str(error))
        else:
            self.log_change(request, month, f"{verb.capitalize()}ed." if verb != "restore" else "Restored.")
            messages.success(request, f"{month} is {'restored' if verb == 'restore' else f'{verb}ed'}.")
        return leave_dialog(change_url(month))


def _measure(months: Any) -> None:
    """Give each month its table's size, None without a table, and whether somebody works on it."""
    sizes = queries.sizes(month.month for month in months)
    busy = queries.busy()
    for month in months:
        month.table = sizes.get(month.month)
        month.is_busy = month.month in busy
