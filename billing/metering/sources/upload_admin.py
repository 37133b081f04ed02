"""Pages of uploads: choose a file, say what its columns are, look at what would happen, import, and see what did."""

from decimal import Decimal
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from billing.metering.errors import MeteringError
from billing.metering.sources import columns_page, queries, services, tasks
from billing.metering.sources.forms import ReadingForm, UploadForm
from billing.metering.sources.models import Upload
from billing.metering.sources.states import WORKING, UploadState, before
from billing.metering.sources.tables import Reading, open_table
from config import clock
from customers.backoffice import OfficeAdmin, badge, change_url, list_url, quantity_text

STATE_BADGES = {
    UploadState.MAPPING.label: "warning",
    UploadState.CHECKING.label: "info",
    UploadState.CHECKED.label: "warning",
    UploadState.IMPORTING.label: "info",
    UploadState.DONE.label: "success",
    UploadState.FAILED.label: "danger",
}


@admin.register(Upload)
class UploadAdmin(OfficeAdmin):
    """Files of usage that people uploaded."""

    list_display = (
        "name", "upload_state", "uploaded_at", "uploaded_by", "rows_count", "accepted_count", "duplicates_count",
        "refused_count",
    )  # fmt: skip
    list_filter = (("state", ChoicesDropdownFilter),)
    list_select_related = ("uploaded_by",)
    search_fields = ("name",)
    empty_hint = "Upload a CSV file or an Excel workbook whose rows are usage events."
    warn_unsaved_form = False

    def get_urls(self) -> list[Any]:
        """With the steps of an upload."""
        view = self.admin_site.admin_view
        own = [
            path("<int:pk>/columns/", view(self.columns_view), name="billing_upload_columns"),
            path("<int:pk>/step/", view(self.step_view), name="billing_upload_step"),
            path("<int:pk>/errors/", view(self.errors_view), name="billing_upload_errors"),
        ]
        return own + super().get_urls()

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """The first step: the file."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = UploadForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            try:
                upload = services.receive_upload(file=form.cleaned_data["file"], user=request.user, now=clock.now())
            except MeteringError as error:
                form.add_error("file", str(error))
            else:
                self.log_addition(request, upload, f"Uploaded {upload.name}.")
                return HttpResponseRedirect(reverse("admin:billing_upload_columns", args=[upload.pk]))
        context = {"title": "Upload usage", "form": form, "add": True, "back": list_url(Upload)}
        return self._page(request, "upload_add.html", context)

    def columns_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The second step: what the columns are."""
        upload = self._upload(request, pk)
        if UploadState(upload.state) not in before(UploadState.CHECKING) or upload.removed_at:
            return HttpResponseRedirect(change_url(upload))
        try:
            if "read" in request.POST:
                given = {name: request.POST.get(name, "") for name in ("delimiter", "sheet")}
                services.choose_reading(upload=upload, **given)
            answer = self._columns(request, upload)
            if not isinstance(answer, dict):
                return answer
            services.check_upload(upload=upload, mapping=answer, queue=tasks.queue_upload, now=clock.now())
        except MeteringError as error:
            messages.error(request, str(error))
        return HttpResponseRedirect(change_url(upload))

    def _columns(self, request: HttpRequest, upload: Upload) -> dict[str, Any] | HttpResponse:
        """The page of columns, or what was chosen on it."""
        given = Reading(**upload.reading)
        with queries.path_of(upload).open("rb") as binary, open_table(binary, upload.name, upload.size, given) as table:
            mapping = upload.mapping or queries.earlier_mapping(upload) or {}
            chosen = {"delimiter": given.delimiter, "sheet": given.sheet or next(iter(table.sheets), "")}
            about = columns_page.About(
                record=upload, title=f"Columns of {upload.name}", mapping=mapping, submit="Check the file",
                source=(upload.mapping or {}).get("source") or f"file:{upload.name}", back=change_url(upload),
                reading=ReadingForm(initial=chosen, sheets=table.sheets),
                note="The whole file is read next, and nothing is stored: you see what would happen first.",
            )  # fmt: skip
            answer = columns_page.answer(request, self, table, about)
            return answer if isinstance(answer, dict) else answer.render()  # while the file is open

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Where the upload stands: progress, what the check found, or what came of it."""
        upload = get_object_or_404(Upload.objects.select_related("uploaded_by", "backfill"), pk=object_id)
        if not self.has_view_permission(request, upload):
            raise PermissionDenied
        may = self.has_change_permission(request, upload)
        if upload.state == UploadState.MAPPING and may and not upload.removed_at:
            return HttpResponseRedirect(reverse("admin:billing_upload_columns", args=[upload.pk]))
        checked = upload.checked or {}
        context = {
            "title": upload.name,
            "original": upload,
            "upload": upload,
            "state": badge(upload.get_state_display(), STATE_BADGES),
            "working": upload.state in WORKING,
            "percent": f"{upload.progress / 10:.0f}",
            "counts": _counts(upload),
            "found": checked,
            "checked_counts": _counts(checked) if checked else [],
            "effects": _effects(checked),
            "may": may and not upload.removed_at,
            "may_check": UploadState(upload.state) in before(UploadState.CHECKING),
            "has_errors": bool(upload.errors_bytes) and not upload.removed_at,
            "same": queries.same_file(upload) if upload.state == UploadState.CHECKED else None,
        }
        return self._page(request, "upload.html", context)

    def step_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Import or discard, as the button says."""
        upload = self._upload(request, pk)
        try:
            if "import" in request.POST:
                services.import_upload(upload=upload, user=request.user, queue=tasks.queue_upload, now=clock.now())
                self.log_change(request, upload, "Import confirmed.")
            elif "discard" in request.POST:
                services.discard_upload(upload=upload, now=clock.now())
                self.log_change(request, upload, "Discarded.")
                messages.success(request, f"{upload} is discarded; nothing of it was imported.")
                return HttpResponseRedirect(list_url(Upload))
        except MeteringError as error:
            messages.error(request, str(error))
        return HttpResponseRedirect(change_url(upload))

    def errors_view(self, request: HttpRequest, pk: int) -> FileResponse:
        """The rows that did not count, as CSV."""
        upload = get_object_or_404(Upload, pk=pk)
        if not self.has_view_permission(request, upload):
            raise PermissionDenied
        return errors_file(upload, f"{upload.name}.errors.csv")

    def _upload(self, request: HttpRequest, pk: int) -> Upload:
        upload = get_object_or_404(Upload, pk=pk)
        if not self.has_change_permission(request, upload):
            raise PermissionDenied
        return upload

    def _page(self, request: HttpRequest, template: str, context: dict[str, Any]) -> TemplateResponse:
        common = {**self.admin_site.each_context(request), "opts": self.opts, "media": self.media}
        return TemplateResponse(request, f"billing/admin/{template}", common | context)

    @display(description="State")
    def upload_state(self, upload: Upload) -> str:
        """How far it is."""
        return badge(upload.get_state_display(), STATE_BADGES)

    @display(description="Rows", ordering="rows")
    def rows_count(self, upload: Upload) -> str:
        """Rows that were read."""
        return quantity_text(upload.rows)

    @display(description="Accepted")
    def accepted_count(self, upload: Upload) -> str:
        """Rows that are events now; a check alone stores none."""
        imported = upload.state in (UploadState.IMPORTING, UploadState.DONE) or upload.backfill_id
        return quantity_text(upload.accepted) if imported else "-"

    @display(description="Duplicates")
    def duplicates_count(self, upload: Upload) -> str:
        """Rows that were known."""
        return quantity_text(upload.duplicates)

    @display(description="Not counted")
    def refused_count(self, upload: Upload) -> str:
        """Rows in conflict, or refused."""
        return quantity_text(upload.conflicts + upload.rejected)


def errors_file(record: Any, name: str) -> FileResponse:
    """The errors file of an upload or a run, to download; 404 when there is none."""
    try:
        stream = queries.errors_of(record).open("rb")
    except FileNotFoundError:
        raise Http404("There is no errors file: every row counted, or it was removed after a while.") from None
    return FileResponse(stream, as_attachment=True, filename=name, content_type="text/csv; charset=utf-8")


def _counts(of: Any) -> list[tuple[str, str, str]]:
    """For the page: name, number and what it means."""
    words = {
        "rows": "rows read",
        "accepted": "new events",
        "duplicates": "known already, nothing to do",
        "conflicts": "known with another content: the first stands",
        "rejected": "cannot be read",
    }
    get = of.get if isinstance(of, dict) else lambda name: getattr(of, name)
    return [(name.capitalize(), quantity_text(get(name)), text) for name, text in words.items()]


def _effects(checked: dict[str, Any]) -> list[dict[str, Any]]:
    """For the page: what meters would count more, by customer."""
    return [
        each | {name: quantity_text(each[name]) for name in ("events", "invalid")}
        | {"quantity": quantity_text(Decimal(each["quantity"]) if each["quantity"] else None)}
        for each in checked.get("effects", [])
    ]  # fmt: skip
