"""`POST /api/v1/events`: usage events from other systems, one, a list or a stream, answered one by one."""

import time
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from billing.metering import access, answers, bodies, cloudevents, keys, lago, lines, services, validate
from billing.metering.access import KnownKey
from billing.metering.answers import Tally, problem
from billing.metering.errors import Refusal, TooManyEvents, UnreadableBody
from billing.metering.reports import services as reports
from billing.metering.reports.files import ProblemLog
from billing.metering.validate import Problem, Reading
from config import clock

RETRY_AFTER: Final = "5"
"""Seconds after which a sender should try again when the database is away."""


class _Sent(NamedTuple):
    """What a body holds, batch by batch, and how what became of its events is answered."""

    readings: Iterable[Reading]
    answer: Callable[[Tally], HttpResponse] = answers.report
    most_problems: int | None = None


_Open = Callable[[HttpRequest], _Sent]


@csrf_exempt  # no cookie counts here: the key in the header is the whole authority
def events(request: HttpRequest) -> HttpResponse:
    """Store the events of the body and say what became of each (R1.2).

    200 with counts, conflicts and rejections, even when every event was refused (CloudEvents: 204, or 400 with the
    report); 400, 401, 405, 411, 413, 415 and 503 as problem+json when the request ended there, with the report so far
    where a part of a stream was stored. After a 503, or no answer at all, the same request may be sent again: what was
    stored counts once.
    """
    return _respond(request, _open)


@csrf_exempt  # see events
def lago_batch(request: HttpRequest) -> HttpResponse:
    """`POST /api/v1/events/batch`: store the events of Lago’s `{"events": […]}`.

    200 with the events when each is stored or was known, else 422, which names the others; the good ones are kept.
    """
    return _respond(request, lambda request: _of_lago(lago.read_many(bodies.whole(request)), _events_of_lago))


def _respond(request: HttpRequest, open_body: _Open) -> HttpResponse:
    """The answer, and the rest of the body read where it was not."""
    response = _attempt(request, open_body)
    if response.status_code in (400, 413, 415, 503):
        bodies.pass_over(request)
    return response


def _attempt(request: HttpRequest, open_body: _Open) -> HttpResponse:
    """Store what the body holds, and the answer, whatever happened."""
    tally, key = Tally(None), None
    try:
        if request.method != "POST":
            raise Refusal(405, "method_not_allowed", "Events are sent by POST.", Allow="POST")
        key = access.authenticate(request.headers.get("Authorization", ""), keys.INGEST, clock.now())
        sent = open_body(request)
        tally = Tally(sent.most_problems, ProblemLog(key.pk, clock.now()) if sent.most_problems else None)
        for reading in sent.readings:
            _charge(key, reading, tally)
            tally.add(services.ingest(events=reading, origin="api", key=key, now=clock.now()))
        return sent.answer(tally)
    except Refusal as refusal:
        return _refused(refusal, key, tally)
    except UnreadableBody as error:
        return _refused(Refusal(400, error.code, str(error)), key, tally)
    except TooManyEvents as error:
        return _refused(Refusal(413, "too_many_events", str(error)), key, tally)
    except (OperationalError, InterfaceError):
        return _unavailable(tally)


def _refused(refusal: Refusal, key: KnownKey | None, tally: Tally) -> HttpResponse:
    """The answer that ends a request, counted among the rejections of the key’s hour unless it asks for patience."""
    if key and refusal.status != 429:
        whole = Problem(0, None, refusal.code, refusal.detail)
        try:
            reports.count_rejects(problems=[whole], examples={}, origin="api", key_id=key.pk, now=clock.now())
        except (OperationalError, InterfaceError):
            return _unavailable(tally)
    response = problem(refusal.status, refusal.code, refusal.detail, **tally.so_far())
    for name, value in refusal.headers.items():
        response[name] = value
    return response


def _unavailable(tally: Tally) -> HttpResponse:
    """The answer while the database is away."""
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


def _open(request: HttpRequest) -> _Sent:
    """The body in the format that the headers say; Refusal (415) for an unknown one, or another charset than UTF-8."""
    media_type = (request.content_type or "").lower()
    charset = (request.content_params or {}).get("charset", "utf-8").lower()
    open_body = _FORMATS.get(media_type)
    if media_type in ("", "application/json") and cloudevents.is_binary(request.headers):
        open_body = _binary
    if open_body is None or charset not in ("utf-8", "utf8"):
        said = f"{media_type or 'nothing'}" + ("" if charset in ("utf-8", "utf8") else f" in {charset}")
        raise Refusal(415, "unsupported_media_type", f"The body is said to be {said}; send {_KNOWN}, in UTF-8.")
    return open_body(request)


def _json(request: HttpRequest) -> _Sent:
    """One event or a list; or one of Lago's, told by its shape; or CloudEvents that OpenMeter's kit calls plain."""
    body = bodies.whole(request)
    if lago.is_one(body):
        return _of_lago(lago.read_one(body), _event_of_lago)
    if "openmeter/" in request.headers.get("User-Agent", ""):  # to it nothing but 204 is a success
        return _Sent([validate.read(body, cloud=True)], answers.cloud_report)
    return _Sent([validate.read(body)])


def _lines(request: HttpRequest) -> _Sent:
    """One event a line, of any number, never held as a whole."""
    readings = lines.batches(
        bodies.pieces(request),
        longest_line=settings.USAGE_LINE_LIMIT_BYTES,
        most_bytes=settings.USAGE_BODY_LIMIT_BYTES,
        most_events=min(lines.BATCH, settings.USAGE_BATCH_LIMIT),
    )
    return _Sent(readings, most_problems=answers.MOST_PROBLEMS)


def _structured(request: HttpRequest) -> _Sent:
    """One CloudEvent."""
    return _Sent([cloudevents.structured(bodies.whole(request))], answers.cloud_report)


def _batched(request: HttpRequest) -> _Sent:
    """A list of CloudEvents."""
    return _Sent([cloudevents.batched(bodies.whole(request))], answers.cloud_report)


def _binary(request: HttpRequest) -> _Sent:
    """One CloudEvent, its attributes in the headers and its data in the body."""
    return _Sent([cloudevents.binary(request.headers, bodies.whole(request))], answers.cloud_report)


def _of_lago(reading: Reading, members: Callable[[list[dict[str, Any]]], dict[str, Any]]) -> _Sent:
    """Events of Lago's, answered as Lago does."""
    echoes = [lago.echo(event, clock.now()) for _, event in reading.events]
    return _Sent([reading], lambda tally: answers.lago_report(tally, members(echoes)))


def _event_of_lago(echoes: list[dict[str, Any]]) -> dict[str, Any]:
    """The answer to one event."""
    return {"event": echoes[0] if echoes else None}


def _events_of_lago(echoes: list[dict[str, Any]]) -> dict[str, Any]:
    """The answer to a batch."""
    return {"events": echoes}


_FORMATS: Final[dict[str, _Open]] = {
    "application/json": _json,
    "application/x-ndjson": _lines,
    "application/cloudevents+json": _structured,
    "application/cloudevents-batch+json": _batched,
}
_KNOWN: Final = ", ".join(list(_FORMATS)[:-1]) + f" or {list(_FORMATS)[-1]}"
