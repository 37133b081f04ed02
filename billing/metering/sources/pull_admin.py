"""Pages of pull sources: where usage is fetched from, how that goes, and the buttons that steer it."""

import os
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils.html import format_html
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from billing.metering.errors import MeteringError
from billing.metering.sources import columns_page, pulling, queries, services, tasks
from billing.metering.sources.forms import PullSourceForm
from billing.metering.sources.models import PullFile, PullRun, PullSource
from billing.metering.sources.upload_admin import errors_file
from config import clock
from customers.backoffice import (
    NONE,
    OfficeAdmin,
    RecordInline,
    badge,
    change_url,
    granted,
    leave_dialog,
    quantity_text,
)

SOURCE_BADGES = {
    "Waiting": "success",
    "Running": "info",
    "Failing": "danger",
    "Failed": "warning",
    "Silent": "danger",
    "Needs its columns": "warning",
}
PLACES = {
    None: ("address", "options", "query", "cursor_column", "position"),  # not known yet: the page shows what is needed
    PullSource.Kind.FILES: ("address", "options"),
    PullSource.Kind.SQL: ("address", "query", "cursor_column", "position"),
}


def _figure(count: int) -> str:
    """A count in a column of its own, aligned right."""
    return format_html('<span class="mb-figure">{}</span>', quantity_text(count))


class SourceInline(RecordInline):
    """What belongs to a source, and is seen by those who may see it."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """See the source's."""
        return bool(request.user.has_perm("billing.view_pullsource"))


class RunInline(SourceInline):
    """What the last runs found."""

    model = PullRun
    fields = readonly_fields = (
        "started", "run_result", "rows_count", "accepted_count", "duplicates_count", "conflicts_count",
        "rejected_count", "errors",
    )  # fmt: skip
    verbose_name_plural = "runs"
    per_page = 20
    ordering = ("-id",)

    @display(description="Began")
    def started(self, run: PullRun) -> str:
        """When, and whether it was a trial."""
        return f"{run.started_at:%Y-%m-%d %H:%M:%S}{' (dry run)' if run.dry_run else ''}"

    @display(description="Result")
    def run_result(self, run: PullRun) -> str:
        """How it ended, with the reason when it failed."""
        if run.error:
            failed = badge("Failed", {"Failed": "danger"})
            return format_html('{}<div style="margin-top: 4px; max-width: 420px">{}</div>', failed, run.error)
        kinds = {"Running": "info", "New rows": "success"}
        return badge("Running" if not run.finished_at else "New rows" if run.accepted else "Nothing new", kinds)

    @display(description="Rows")
    def rows_count(self, run: PullRun) -> str:
        """Rows that were read."""
        return _figure(run.rows)

    @display(description="Accepted")
    def accepted_count(self, run: PullRun) -> str:
        """Rows that became events."""
        return _figure(run.accepted)

    @display(description="Duplicates")
    def duplicates_count(self, run: PullRun) -> str:
        """Rows that were known."""
        return _figure(run.duplicates)

    @display(description="Conflicts")
    def conflicts_count(self, run: PullRun) -> str:
        """Rows that were known with another content."""
        return _figure(run.conflicts)

    @display(description="Rejected")
    def rejected_count(self, run: PullRun) -> str:
        """Rows that cannot be read."""
        return _figure(run.rejected)

    @display(description="Errors file")
    def errors(self, run: PullRun) -> str:
        """A link to the rows that did not count."""
        if not run.errors_bytes or run.removed_at:
            return NONE
        return format_html(
            '<a class="mb-link" href="{}">Download</a>', reverse("admin:billing_pull_errors", args=[run.pk])
        )


class FileInline(SourceInline):
    """How far each file has been read."""

    model = PullFile
    fields = readonly_fields = ("path", "rows_count", "read", "error")
    verbose_name_plural = "files"
    per_page = 20
    ordering = ("-read_at", "path")

    @display(description="Rows read")
    def rows_count(self, file: PullFile) -> str:
        """The position."""
        return _figure(file.rows)

    @display(description="Last read")
    def read(self, file: PullFile) -> str:
        """When."""
        return f"{file.read_at:%Y-%m-%d %H:%M:%S}" if file.read_at else NONE


@admin.register(PullSource)
class PullSourceAdmin(OfficeAdmin):
    """Places that usage is fetched from."""

    form = PullSourceForm
    list_display = ("name", "source_state", "kind", "interval", "last_run_at", "last_new_at", "next_due_at")
    list_filter = (("kind", ChoicesDropdownFilter),)
    search_fields = ("name", "address")
    empty_hint = "Usage can be fetched on a schedule: files of a folder or bucket, or rows of an SQL query."
    actions_detail = ("columns", "run_now", "dry_run", "pause", "go_on")
    has_steer_permission = granted("billing.change_pullsource")

    def get_queryset(self, request: HttpRequest) -> QuerySet[PullSource]:
        """With whether a run is under way."""
        return queries.with_running(super().get_queryset(request))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """A source that exists shows how it stands, and what its kind needs."""
        when = ("When", {"fields": (("every", "unit"), "next_due_at", "silent_after_hours")})
        where = (None, {"fields": (("name", "kind"), *PLACES[obj and obj.kind])})
        stands = ("How it stands", {"fields": (("source_state", "last_run_at", "last_new_at"), "trouble")})
        return (stands, where, when) if obj else (where, when)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Its kind stays, once it has been made."""
        return ("source_state", "last_run_at", "last_new_at", "trouble", "kind") if obj else ()

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, str]:
        """The first run is now."""
        return super().get_changeform_initial_data(request) | {"next_due_at": clock.now().replace(microsecond=0)}

    def get_inline_instances(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Runs, and the positions of files."""
        kinds = [RunInline, *([FileInline] if obj and obj.kind == PullSource.Kind.FILES else [])]
        return [kind(self.model, self.admin_site) for kind in kinds] if obj else []

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Who made it, and when."""
        if not change:
            obj.created_by_id, obj.created_at = request.user.pk, clock.now()
            super().save_model(request, obj, form, change)
        elif form.changed_data:  # what a run writes meanwhile is left alone
            obj.save(update_fields=form.changed_data)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Next come its columns."""
        return HttpResponseRedirect(reverse("admin:billing_pull_columns", args=[obj.pk]))

    def get_urls(self) -> list[Any]:
        """With the page of columns, and errors files."""
        view = self.admin_site.admin_view
        own = [
            path("<int:pk>/columns/", view(self.columns_view), name="billing_pull_columns"),
            path("runs/<int:pk>/errors/", view(self.errors_view), name="billing_pull_errors"),
        ]
        return own + super().get_urls()

    def columns_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What the columns are, by what the source holds now."""
        source = get_object_or_404(PullSource, pk=pk)
        if not self.has_change_permission(request, source):
            raise PermissionDenied
        sql = source.kind == PullSource.Kind.SQL
        try:
            with pulling.sample(source, os.environ) as table:
                about = columns_page.About(
                    record=source, title=f"Columns of {source}", mapping=source.mapping, row_ids=not sql,
                    source=source.mapping.get("source") or f"pull:{source.name}", submit="Save the columns",
                    note="From the next run on, rows are read in this way.", back=change_url(source),
                )  # fmt: skip
                answer = columns_page.answer(request, self, table, about)
                if not isinstance(answer, dict):
                    return answer.render()
        except MeteringError as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(change_url(source))
        services.map_source(source=source, mapping=answer)
        self.log_change(request, source, "Columns named.")
        messages.success(request, f"{source} knows its columns. Try a dry run, or wait for the next run.")
        return HttpResponseRedirect(change_url(source))

    def errors_view(self, request: HttpRequest, pk: int) -> FileResponse:
        """The rows of a run that did not count, as CSV."""
        run = get_object_or_404(PullRun.objects.select_related("source"), pk=pk)
        if not self.has_view_permission(request, run.source):
            raise PermissionDenied
        return errors_file(run, f"{run.source.name}-{run.pk}.errors.csv")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Only what can be done now."""
        source = self.get_object(request, unquote(str(object_id)))
        if source is None:
            return []
        hidden = {"go_on"} if not source.paused else {"pause"}
        hidden |= set() if source.mapping else {"run_now", "dry_run"}
        found = super().get_actions_detail(request, object_id)
        return [each for each in found if not any(each.action_name.endswith(name) for name in hidden)]

    @action(description="Columns", icon="view_column", permissions=["steer"])
    def columns(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """To the page of columns."""
        return HttpResponseRedirect(reverse("admin:billing_pull_columns", args=[unquote(object_id)]))

    @action(description="Run now", icon="play_arrow", variant=ActionVariant.PRIMARY, permissions=["steer"], dialog={
        "title": "Run now?",
        "description": "The worker fetches what is new, besides the runs that are due.",
        "form_class": BaseDialogForm,
        "form_submit_text": "Run now",
    })  # fmt: skip
    def run_now(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Fetch at once."""
        return self._queue(request, object_id, dry_run=False)

    @action(description="Dry run", icon="science", permissions=["steer"], dialog={
        "title": "Dry run?",
        "description": "The worker reads what is new and stores nothing; you see what would have come of it.",
        "form_class": BaseDialogForm,
        "form_submit_text": "Dry run",
    })  # fmt: skip
    def dry_run(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """See what a run would find."""
        return self._queue(request, object_id, dry_run=True)

    def _queue(self, request: HttpRequest, object_id: str, dry_run: bool) -> HttpResponse:
        source = get_object_or_404(PullSource, pk=unquote(object_id))
        tasks.queue_pull(source.pk, request.user.pk, dry_run)
        self.log_change(request, source, "Dry run." if dry_run else "Run.")
        kind = "dry run, which stores nothing," if dry_run else "run"
        messages.success(request, f"A {kind} of {source} is queued; it shows below as soon as the worker has begun.")
        return leave_dialog(change_url(source))

    @action(description="Pause", icon="pause", permissions=["steer"], dialog={
        "title": "Pause this source?",
        "description": "Nothing is fetched until you resume it; a run that is under way ends by itself.",
        "form_class": BaseDialogForm,
        "form_submit_text": "Pause",
    })  # fmt: skip
    def pause(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Fetch nothing any more."""
        return self._pause(request, object_id, paused=True)

    @action(description="Resume", icon="resume", variant=ActionVariant.PRIMARY, permissions=["steer"], dialog={
        "title": "Resume this source?",
        "description": "It runs again at its interval; silence is counted from now on.",
        "form_class": BaseDialogForm,
        "form_submit_text": "Resume",
    })  # fmt: skip
    def go_on(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Fetch again."""
        return self._pause(request, object_id, paused=False)

    def _pause(self, request: HttpRequest, object_id: str, paused: bool) -> HttpResponse:
        source = get_object_or_404(PullSource, pk=unquote(object_id))
        with transaction.atomic():
            services.pause_source(source=source, paused=paused, now=clock.now())
            self.log_change(request, source, "Paused." if paused else "Resumed.")
        messages.success(request, f"{source} is paused." if paused else f"{source} runs again.")
        return leave_dialog(change_url(source))

    @display(description="State")
    def source_state(self, source: Any) -> str:
        """How it stands, the most urgent first."""
        return badge(queries.state_of(source), SOURCE_BADGES)

    @display(description="Every")
    def interval(self, source: PullSource) -> str:
        """How often it runs."""
        return f"{source.every} {source.unit}" if source.every > 1 else source.unit.removesuffix("s")

    @display(description="What is wrong")
    def trouble(self, source: PullSource) -> str:
        """The last error, and since when it is silent."""
        silent = f"No new row since {source.silent_since:%Y-%m-%d %H:%M} UTC. " if source.silent_since else ""
        return f"{silent}{source.last_error}" or "Nothing."
