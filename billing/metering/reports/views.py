"""`GET /api/v1/problems/<id>`: all problems of a stream, one a line."""

from uuid import UUID

from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse

from billing.metering import keys
from billing.metering.api.edge import reader, reading
from billing.metering.errors import Refusal
from billing.metering.reports.files import lines_of
from billing.metering.reports.models import ProblemFile
from billing.metering.reports.services import KEPT_DAYS


@reading
def problems(request: HttpRequest, *, file_id: str) -> HttpResponseBase:
    """The problems in the order of the lines, as NDJSON, sent part by part, to who sent the stream or may read.

    404 once they are removed.
    """
    pk = _uuid(file_id)
    owner = ProblemFile.objects.filter(pk=pk).values_list("key_id", flat=True).first() if pk else None
    try:
        reader(request)
    except Refusal as refusal:
        if refusal.status != 403 or owner not in (None, reader(request, keys.INGEST).pk):
            raise
    if owner is None or pk is None:
        detail = f"There are no problems under the id {file_id!r}; they are kept for {KEPT_DAYS} days."
        raise Refusal(404, "unknown_problems", detail)
    return StreamingHttpResponse(lines_of(pk), content_type="application/x-ndjson")


def _uuid(text: str) -> UUID | None:
    """The id that a text is, if it is one."""
    try:
        return UUID(text)
    except ValueError:
        return None
