"""`POST /api/v1/events`: usage events from other systems, one or a list, answered one by one."""

import zlib
from typing import Any, Final

import msgspec
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from billing.metering import keys, services
from billing.metering.errors import TooManyEvents, UnreadableBody
from billing.metering.models import ApiKey
from config import clock

RETRY_AFTER: Final = "5"
"""Seconds after which a sender should try again when the database is away."""


class _Refusal(Exception):
    """An answer that ends the request: status, sentence, and headers that belong to it."""

    def __init__(self, status: int, code: str, detail: str, **headers: str) -> None:
        self.response = problem(status, code, detail)
        for name, value in headers.items():
            self.response[name.replace("_", "-")] = value


@csrf_exempt  # no cookie counts here: the key in the header is the whole authority
def events(request: HttpRequest) -> HttpResponse:
    """Store the events of the body and say what became of each (R1.2).

    200 with counts, conflicts and rejections, even when every event was refused; 400, 401, 405, 411, 413, 415 and 503
    as problem+json when nothing was looked at. After a 503, or no answer at all, the same request may be sent again:
    what was stored counts once.
    """
    try:
        if request.method != "POST":
            raise _Refusal(405, "method_not_allowed", "Events are sent by POST.", Allow="POST")
        key = _authenticated(request)
        _check_content_type(request)
        report = services.ingest(events=_body(request), origin="api", key=key, now=clock.now())
    except _Refusal as refusal:
        return refusal.response
    except UnreadableBody as error:
        return problem(400, error.code, str(error))
    except TooManyEvents as error:
        return problem(413, "too_many_events", str(error))
    except (OperationalError, InterfaceError):
        response = problem(503, "unavailable", "The database is away; send the same request again in a few seconds.")
        response["Retry-After"] = RETRY_AFTER
        return response
    answer = {
        "accepted": report.accepted,
        "duplicates": report.duplicates,
        "conflicts": report.conflicts,
        "rejected": report.rejected,
    }
    return HttpResponse(msgspec.json.encode(answer), content_type="application/json")


def problem(status: int, code: str, detail: str) -> HttpResponse:
    """An error as RFC 9457 has it: `status`, `code` for programs, `detail` for people."""
    title = HttpResponse(status=status).reason_phrase
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}
    return HttpResponse(msgspec.json.encode(body), status=status, content_type="application/problem+json")


def _authenticated(request: HttpRequest) -> ApiKey:
    """The key that the header carries; one query, so that a revoked key ends at once."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    prefix = keys.prefix_of(secret.strip()) if scheme.lower() == "bearer" else None
    key = ApiKey.objects.filter(prefix=prefix, revoked_at=None).first() if prefix else None
    if key is None or not keys.matches(secret.strip(), key.digest):
        detail = "Send a valid API key: “Authorization: Bearer mb_…”. Keys are made, and revoked, in the admin."
        raise _Refusal(401, "unauthorized", detail, WWW_Authenticate="Bearer")
    return key


def _check_content_type(request: HttpRequest) -> None:
    """Refuse bodies that are not said to be JSON in UTF-8."""
    charset = (request.content_params or {}).get("charset", "utf-8").lower()
    if request.content_type != "application/json" or charset not in ("utf-8", "utf8"):
        detail = f"The body is said to be {request.content_type or 'nothing'}; send application/json in UTF-8."
        raise _Refusal(415, "unsupported_media_type", detail)


def _body(request: HttpRequest) -> bytes:
    """The body, unpacked where it is gzipped, within the limit; read as a stream, so that no more is ever held."""
    limit = settings.USAGE_BODY_LIMIT_BYTES
    too_large = _Refusal(413, "body_too_large", f"The body has more than {limit:,} bytes; send fewer events at a time.")
    if "CONTENT_LENGTH" not in request.META and "HTTP_TRANSFER_ENCODING" in request.META:
        raise _Refusal(411, "length_required", "Send the body with a Content-Length, not in chunks.")
    body = request.read(limit + 1)
    if len(body) > limit:
        raise too_large
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding == "identity":
        return body
    if encoding != "gzip":
        raise _Refusal(415, "unsupported_encoding", f"The body is encoded as {encoding}; send it plain or as gzip.")
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        unpacked = unpacker.decompress(body, limit + 1)
    except zlib.error:
        raise UnreadableBody("invalid_gzip", "The body is said to be gzip but is not; check how it was made.") from None
    if len(unpacked) > limit:
        raise too_large
    if not unpacker.eof:
        raise UnreadableBody("invalid_gzip", "The gzip body ends too early; send it whole.")
    return unpacked
