"""`POST /api/v1/events`: usage events from other systems, one, a list or a stream, answered one by one."""

import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from billing.metering import access, answers, bodies, cloudevents, keys, lines, services, validate
from billing.metering.access import KnownKey
from billing.metering.answers import Tally, problem
from billing.metering.errors import Refusal, TooManyEvents, UnreadableBody
from billing.metering.validate import Reading
from config import clock

RETRY_AFTER: Final = "5"
"""Seconds after which a sender should try again when the database is away."""


class _Format(NamedTuple):
    """How a kind of body is read, batch by batch, and how what became of its events is answered."""

    read: Callable[[HttpRequest], Iterator[Reading]]
    answer: Callable[[Tally], HttpResponse] = answers.report
    most_problems: int | None = None


@csrf_exempt  # no cookie counts here: the key in the header is the whole authority
def events(request: HttpRequest) -> HttpResponse:
    """Store the events of the body and say what became of each (R1.2).

    200 with counts, conflicts and rejections, even when every event was refused (CloudEvents: 204, or 400 with the
    report); 400, 401, 405, 411, 413, 415 and 503 as problem+json when the request ended there, with the report so far
    where a part of a stream was stored. After a 503, or no answer at all, the same request may be sent again: what was
    stored counts once.
    """
    response = _attempt(request)
    if response.status_code in (400, 413, 415, 503):
        bodies.pass_over(request)
    return response


def _attempt(request: HttpRequest) -> HttpResponse:
    """Store what the body holds, and the answer, whatever happened."""
    tally = Tally(None)
    try:
        if request.method != "POST":
            raise Refusal(405, "method_not_allowed", "Events are sent by POST.", Allow="POST")
        key = access.authenticate(request.headers.get("Authorization", ""), keys.INGEST, clock.now())
        form = _format(request)
        tally = Tally(form.most_problems)
        for reading in form.read(request):
            _charge(key, reading, tally)
            tally.add(services.ingest(events=reading, origin="api", key=key, now=clock.now()))
        return form.answer(tally)
    except Refusal as refusal:
        response = problem(refusal.status, refusal.code, refusal.detail, **tally.so_far())
        for name, value in refusal.headers.items():
            response[name] = value
        return response
    except UnreadableBody as error:
        return problem(400, error.code, str(error), **tally.so_far())
    except TooManyEvents as error:
        return problem(413, "too_many_events", str(error), **tally.so_far())
    except (OperationalError, InterfaceError):
        detail = "The database is away; send the same request again in a few seconds."
        response = problem(503, "unavailable", detail, **tally.so_far())
        response["Retry-After"] = RETRY_AFTER
        return response


def _charge(key: KnownKey, reading: Reading, tally: Tally) -> None:
    """Take events off the key's limit: Refusal for the first ones beyond it; a stream waits in its middle instead.

    Sent again from its beginning, a stream that is longer than the limit would never come to its end.
    """
    events = len(reading.events) + len(reading.problems)
    if not tally.total():
        access.charge(key, events)
        return
    while seconds := access.delay(key, events):
        time.sleep(min(seconds, 1))


def _format(request: HttpRequest) -> _Format:
    """The format that the headers say; Refusal (415) for an unknown one, or another charset than UTF-8."""
    media_type = (request.content_type or "").lower()
    charset = (request.content_params or {}).get("charset", "utf-8").lower()
    form = _FORMATS.get(media_type)
    if media_type in ("", "application/json") and cloudevents.is_binary(request.headers):
        form = _BINARY
    if form is None or charset not in ("utf-8", "utf8"):
        said = f"{media_type or 'nothing'}" + ("" if charset in ("utf-8", "utf8") else f" in {charset}")
        raise Refusal(415, "unsupported_media_type", f"The body is said to be {said}; send {_KNOWN}, in UTF-8.")
    return form


def _json(request: HttpRequest) -> Iterator[Reading]:
    """One event or a list."""
    yield validate.read(bodies.whole(request))


def _lines(request: HttpRequest) -> Iterator[Reading]:
    """One event a line, of any number, never held as a whole."""
    return lines.batches(
        bodies.pieces(request),
        longest_line=settings.USAGE_LINE_LIMIT_BYTES,
        most_bytes=settings.USAGE_BODY_LIMIT_BYTES,
        most_events=min(lines.BATCH, settings.USAGE_BATCH_LIMIT),
    )


def _structured(request: HttpRequest) -> Iterator[Reading]:
    """One CloudEvent."""
    yield cloudevents.structured(bodies.whole(request))


def _batched(request: HttpRequest) -> Iterator[Reading]:
    """A list of CloudEvents."""
    yield cloudevents.batched(bodies.whole(request))


def _binary(request: HttpRequest) -> Iterator[Reading]:
    """One CloudEvent, its attributes in the headers and its data in the body."""
    yield cloudevents.binary(request.headers, bodies.whole(request))


_FORMATS: Final = {
    "application/json": _Format(_json),
    "application/x-ndjson": _Format(_lines, most_problems=answers.MOST_PROBLEMS),
    "application/cloudevents+json": _Format(_structured, answers.cloud_report),
    "application/cloudevents-batch+json": _Format(_batched, answers.cloud_report),
}
_BINARY: Final = _Format(_binary, answers.cloud_report)
_KNOWN: Final = ", ".join(list(_FORMATS)[:-1]) + f" or {list(_FORMATS)[-1]}"
