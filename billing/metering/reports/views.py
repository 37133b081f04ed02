"""`GET /api/v1/problems/<id>`: all problems of a stream, one a line."""

from uuid import UUID

from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse

from billing.metering.answers import Refusal
from billing.metering.api.edge import reading
from billing.metering.models import ApiKey
from billing.metering.reports.files import lines_of
from billing.metering.reports.models import ProblemFile
from billing.metering.reports.services import KEPT_DAYS


@reading
def problems(request: HttpRequest, key: ApiKey, *, file_id: UUID) -> HttpResponseBase:
    """The problems in the order of the lines, as NDJSON, sent part by part; 404 once they are removed."""
    if not ProblemFile.objects.filter(pk=file_id).exists():
        detail = f"There are no problems under the id {file_id}; they are kept for {KEPT_DAYS} days."
        raise Refusal(404, "unknown_problems", detail)
    return StreamingHttpResponse(lines_of(file_id), content_type="application/x-ndjson")
