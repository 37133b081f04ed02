"""Lists of what was sent and not stored, for engineers: conflicts beside the events that stand, and rejections."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.decorators import display

from billing.metering.reports import queries
from billing.metering.reports.models import EventConflict, EventReject
from billing.metering.validate import MAX_EXAMPLE
from customers.backoffice import RecordAdmin, link_to


@admin.register(EventConflict)
class EventConflictAdmin(RecordAdmin):
    """Ids that came again with another content. The first stands; what came later is kept here, and never counts."""

    list_display = ("event_id", "source", "sender", "times_count", "first", "last")
    list_display_links = ("event_id",)
    list_select_related = ("source", "key")
    list_filter = (("last_seen", RangeDateTimeFilter), "key")
    search_fields = ("=event_id",)
    search_help_text = "The whole id of an event"
    show_full_result_count = False
    empty_hint = "An id that is sent again with another content is shown here. So far none was."
    change_form_template = "billing/admin/conflict.html"
    fields = ("event_id",)  # the template shows all of it

    def get_queryset(self, request: HttpRequest) -> QuerySet[EventConflict]:
        """Without what was sent, in which a number may be longer than Django reads."""
        return super().get_queryset(request).defer("sent")

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """With both contents side by side."""
        extra = dict(extra_context or {})
        conflict = self.get_object(request, unquote(object_id)) if object_id else None
        if conflict is not None and self.has_view_permission(request, conflict):
            extra |= _beside(conflict)
        return super().changeform_view(request, object_id, form_url, extra)

    @display(description="API key", ordering="key")
    def sender(self, conflict: EventConflict) -> Any:
        """Who sent it last."""
        return link_to(conflict.key)

    @display(description="Times sent", ordering="count")
    def times_count(self, conflict: EventConflict) -> Any:
        """How often this content came."""
        return format_html('<span class="mb-money">{}</span>', f"{conflict.count:,}")

    @display(description="First sent", ordering="first_seen")
    def first(self, conflict: EventConflict) -> Any:
        """When it came first."""
        return _instant(conflict.first_seen)

    @display(description="Last sent", ordering="last_seen")
    def last(self, conflict: EventConflict) -> Any:
        """When it came last."""
        return _instant(conflict.last_seen)


@admin.register(EventReject)
class EventRejectAdmin(RecordAdmin):
    """Events that were refused, counted by hour (UTC), API key and reason, with the last one as an example."""

    list_display = ("hours", "reason", "sender", "origin", "events_count", "last_message")
    list_display_links = ("hours",)
    list_select_related = ("key",)
    list_filter = (("hour", RangeDateTimeFilter), "key")
    search_fields = ("=code",)
    search_help_text = "The whole code of a reason, such as missing_subject"
    show_full_result_count = False
    empty_hint = "Events that could not be stored are counted here, with the reason and an example. So far none were."
    fieldsets = (
        (None, {"fields": (("hours", "code"), ("key", "origin"), ("events_count", "latest"))}),
        ("The last one", {"fields": ("last_message", "example")}),
    )
    readonly_fields = ("hours", "events_count", "latest", "example")

    @display(description="Hour (UTC)", ordering="hour")
    def hours(self, reject: EventReject) -> Any:
        """The hour, by its start."""
        return format_html('<span class="mb-figure-inline">{}</span>', f"{reject.hour:%Y-%m-%d %H}:00")

    @display(description="Reason", ordering="code")
    def reason(self, reject: EventReject) -> str:
        """The code, as the answers to senders have it."""
        return reject.code

    @display(description="API key", ordering="key")
    def sender(self, reject: EventReject) -> Any:
        """Who sent them."""
        return link_to(reject.key)

    @display(description="Events", ordering="count")
    def events_count(self, reject: EventReject) -> Any:
        """How many."""
        return format_html('<span class="mb-money">{}</span>', f"{reject.count:,}")

    @display(description="Last at")
    def latest(self, reject: EventReject) -> Any:
        """When the last one came."""
        return _instant(reject.last_at)

    @display(description="As it was sent")
    def example(self, reject: EventReject) -> Any:
        """The text of the last one, as far as it is kept."""
        if not reject.last_example:
            return "Nothing of it was kept."
        cut = "\n…" if len(reject.last_example) >= MAX_EXAMPLE else ""
        return format_html('<pre class="mb-json">{}{}</pre>', reject.last_example, cut)


def _beside(conflict: EventConflict) -> dict[str, Any]:
    """The stored event and what was sent, part by part."""
    key = queries.key_of(conflict.digest)
    if key is None:
        return {"conflict": conflict}
    stored = queries.located(key, source_id=conflict.source_id, event_id=conflict.event_id)
    return {
        "conflict": conflict,
        "stored": stored,
        "rows": queries.differences(conflict, key, stored),
    }


def _instant(at: Any) -> Any:
    """A time in UTC, in figures of equal width."""
    return format_html('<span class="mb-figure-inline">{}</span>', f"{at:%Y-%m-%d %H:%M:%S}")
