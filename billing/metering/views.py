"""`POST /api/v1/events`: usage events from other systems, one, a list or a stream, answered one by one."""

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, Protocol

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from billing.metering import access, answers, bodies, cloudevents, keys, lago, lines, services, validate
from billing.metering.access import Ask, KnownKey
from billing.metering.answers import Tally, problem
from billing.metering.bodies import Request
from billing.metering.corrections.models import Backfill
from billing.metering.errors import Refusal, TooManyEvents, UnreadableBody
from billing.metering.reports import services as reports
from billing.metering.reports.files import ProblemLog
from billing.metering.validate import Problem, Reading
from config import clock

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
CLOUD_EVENT: Final = "application/cloudevents+json"
CLOUD_BATCH: Final = "application/cloudevents-batch+json"

BACKFILL: Final = "Meterbook-Backfill"
"""The header that says to which backfill a request's events belong."""

RETRY_AFTER: Final = "5"
"""Seconds after which a sender should try again when the database is away."""


_log = logging.getLogger(__name__)


ASKED_AT_THE_DOOR: Final = "meterbook.door"
"""By this key of the environ the front asks whether a request would come as far as the view; no sender can set it."""


class _Sent(NamedTuple):
    """What a body holds, batch by batch, and how what became of its events is answered."""

    readings: Iterable[Reading]
    answer: Callable[[Tally], HttpResponse] = answers.report
    most_problems: int | None = None


_Open = Callable[[Request], _Sent]


class Store(Protocol):
    """Stores what a request, or a part of it, holds, and says what became of it once it is committed."""

    def __call__(self, reading: Reading, key: KnownKey) -> services.IngestReport: ...


def store_at_once(reading: Reading, key: KnownKey) -> services.IngestReport:
    """Store on the connection of this thread, in a transaction of its own."""
    return services.ingest(events=reading, origin="api", key=key, now=clock.now())


def _store_in(number: str, ask: Ask) -> Store:
    """Store what belongs to a backfill; Refusal (404) when there is none of that number."""
    found = ask(lambda: Backfill.objects.filter(pk=number).first()) if number.isdecimal() and len(number) < 19 else None
    if found is None:
        raise Refusal(404, "unknown_backfill", f"There is no backfill {number!r}; make one by POST /api/v1/backfills.")

    def store(reading: Reading, key: KnownKey) -> services.IngestReport:
        return ask(
            lambda: services.ingest(events=reading, origin="api", key=key, now=clock.now(), backfill_id=found.pk)
        )

    return store


@csrf_exempt  # no cookie counts here: the key in the header is the whole authority
def events(request: HttpRequest) -> HttpResponse:
    """Store the events of the body and say what became of each (R1.2); see `answer`."""
    if ASKED_AT_THE_DOOR in request.META:
        response = HttpResponse(status=204)
        del response["Content-Type"]
        return response
    return answer(request)


def answer(request: Request, *, store: Store = store_at_once, ask: Ask = access.at_once) -> HttpResponse:
    """Store the events of the body by `store` and say what became of each (R1.2); `ask` runs the queries for the key.

    200 with counts, conflicts and rejections, even when every event was refused (CloudEvents: 204, or 400 with the
    report); 400, 401, 403, 405, 411, 413, 415, 429, 500 and 503 as problem+json when the request ended there, with the
    report so far where a part of a stream was stored. After a 503, or no answer at all, the same request may be sent
    again: what was stored counts once.
    """
    return _respond(request, _open, store, ask)


@csrf_exempt  # see events
def lago_batch(request: HttpRequest) -> HttpResponse:
    """`POST /api/v1/events/batch`: store the events of Lago’s `{"events": […]}`.

    200 with the events when each is stored or was known, else 422, which names the others; the good ones are kept.
    """
    return _respond(request, _batch_of_lago, store_at_once, access.at_once)


def _respond(request: Request, open_body: _Open, store: Store, ask: Ask) -> HttpResponse:
    """The answer, and the rest of the body read where it was not."""
    response = _attempt(request, open_body, store, ask)
    if response.status_code in (400, 403, 413, 415, 429, 500, 503):
        bodies.pass_over(request)
    return response


def _attempt(request: Request, open_body: _Open, store: Store, ask: Ask) -> HttpResponse:
    """Store what the body holds, and the answer, whatever happened."""
    tally, key = Tally(None), None
    try:
        if request.method != "POST":
            raise Refusal(405, "method_not_allowed", "Events are sent by POST.", Allow="POST")
        key = access.authenticate(request.headers.get("Authorization", ""), keys.INGEST, clock.now(), ask=ask)
        if BACKFILL in request.headers:
            store = _store_in(request.headers[BACKFILL], ask)
        sent = open_body(request)
        tally = Tally(sent.most_problems, ProblemLog(key.pk, clock.now(), ask) if sent.most_problems else None)
        for reading in sent.readings:
            _charge(key, reading, tally, ask)
            tally.add(store(reading, key))
        return sent.answer(tally)
    except Refusal as refusal:
        return _refused(refusal, key, tally, ask)
    except UnreadableBody as error:
        return _refused(Refusal(400, error.code, str(error)), key, tally, ask)
    except TooManyEvents as error:
        return _refused(Refusal(413, "too_many_events", str(error)), key, tally, ask)
    except (OperationalError, InterfaceError, ImproperlyConfigured) as error:  # the last: no embedded server
        return _unavailable(error, tally)
    except Exception:
        _log.exception("Events were not taken.")
        detail = "Something went wrong here, and was written to the log; send the same request again later."
        return _later(problem(500, "internal_error", detail, **tally.so_far()))


def _refused(refusal: Refusal, key: KnownKey | None, tally: Tally, ask: Ask) -> HttpResponse:
    """The answer that ends a request, counted among the rejections of the key’s hour unless it asks for patience."""
    if key and refusal.status != 429:
        key_id, problems = key.pk, [Problem(0, None, refusal.code, refusal.detail)]
        try:
            ask(
                lambda: reports.count_rejects(
                    problems=problems, examples={}, origin="api", key_id=key_id, now=clock.now()
                )
            )
        except (OperationalError, InterfaceError) as error:
            return _unavailable(error, tally)
    response = problem(refusal.status, refusal.code, refusal.detail, **tally.so_far())
    for name, value in refusal.headers.items():
        response[name] = value
    return response


def _unavailable(error: Exception, tally: Tally) -> HttpResponse:
    """The answer while the database takes nothing."""
    _log.warning("Events were not taken: %s", error)
    detail = "The database takes no events at the moment; send the same request again in a few seconds."
    return _later(problem(503, "unavailable", detail, **tally.so_far()))


def _later(response: HttpResponse) -> HttpResponse:
    """The answer with when to try again."""
    response["Retry-After"] = RETRY_AFTER
    return response


def _charge(key: KnownKey, reading: Reading, tally: Tally, ask: Ask) -> None:
    """Take events off the key's limit: Refusal for the first ones beyond it; a stream waits in its middle instead.

    Sent again from its beginning, a stream that is longer than the limit would never come to its end.
    """
    events = len(reading.events) + len(reading.problems)
    if not tally.total():
        access.charge(key, events, ask=ask)
        return
    while seconds := access.delay(key, events, ask=ask):
        time.sleep(min(seconds, 1))


def _open(request: Request) -> _Sent:
    """The body in the format that the headers say; Refusal (415) for an unknown one, or another charset than UTF-8."""
    media_type = (request.content_type or "").lower()
    charset = (request.content_params or {}).get("charset", "utf-8").lower()
    open_body = FORMATS.get(media_type)
    if media_type in ("", JSON) and cloudevents.is_binary(request.headers):
        open_body = _binary
    if open_body is None or charset not in ("utf-8", "utf8"):
        said = f"{media_type or 'nothing'}" + ("" if charset in ("utf-8", "utf8") else f" in {charset}")
        raise Refusal(415, "unsupported_media_type", f"The body is said to be {said}; send {_KNOWN}, in UTF-8.")
    return open_body(request)


def _json(request: Request) -> _Sent:
    """One event or a list; or one of Lago's, told by its shape; or CloudEvents that OpenMeter's kit calls plain."""
    body = bodies.whole(request)
    if lago.is_one(body):
        return _of_lago(lago.read_one(body), _event_of_lago)
    if "openmeter/" in request.headers.get("User-Agent", ""):  # to it nothing but 204 is a success
        return _Sent([validate.read(body, cloud=True)], answers.cloud_report)
    return _Sent([validate.read(body)])


def _lines(request: Request) -> _Sent:
    """One event a line, of any number, never held as a whole."""
    readings = lines.batches(
        bodies.pieces(request),
        longest_line=settings.USAGE_LINE_LIMIT_BYTES,
        most_bytes=settings.USAGE_BODY_LIMIT_BYTES,
        most_events=min(lines.BATCH, settings.USAGE_BATCH_LIMIT),
    )
    return _Sent(readings, most_problems=answers.MOST_PROBLEMS)


def _structured(request: Request) -> _Sent:
    """One CloudEvent."""
    return _Sent([cloudevents.structured(bodies.whole(request))], answers.cloud_report)


def _batched(request: Request) -> _Sent:
    """A list of CloudEvents."""
    return _Sent([cloudevents.batched(bodies.whole(request))], answers.cloud_report)


def _binary(request: Request) -> _Sent:
    """One CloudEvent, its attributes in the headers and its data in the body."""
    return _Sent([cloudevents.binary(request.headers, bodies.whole(request))], answers.cloud_report)


def _of_lago(reading: Reading, members: Callable[[list[dict[str, Any]]], dict[str, Any]]) -> _Sent:
    """Events of Lago's, answered as Lago does."""
    echoes = [lago.echo(event, clock.now()) for _, event in reading.events]
    return _Sent([reading], lambda tally: answers.lago_report(tally, members(echoes)))


def _batch_of_lago(request: Request) -> _Sent:
    """Lago's batch."""
    return _of_lago(lago.read_many(bodies.whole(request)), _events_of_lago)


def _event_of_lago(echoes: list[dict[str, Any]]) -> dict[str, Any]:
    """The answer to one event."""
    return {"event": echoes[0] if echoes else None}


def _events_of_lago(echoes: list[dict[str, Any]]) -> dict[str, Any]:
    """The answer to a batch."""
    return {"events": echoes}


FORMATS: Final[dict[str, _Open]] = {
    JSON: _json,
    NDJSON: _lines,
    CLOUD_EVENT: _structured,
    CLOUD_BATCH: _batched,
}
_KNOWN: Final = ", ".join(list(FORMATS)[:-1]) + f" or {list(FORMATS)[-1]}"
