"""`POST /api/v1/events`: usage events from other systems, one, a list or a stream, answered one by one."""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, Protocol

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from billing.metering import access, answers, bodies, cloudevents, keys, lines, services, validate
from billing.metering.access import Ask, KnownKey
from billing.metering.answers import Tally, problem
from billing.metering.bodies import Request
from billing.metering.errors import Refusal, TooManyEvents, UnreadableBody
from billing.metering.validate import Reading
from config import clock

RETRY_AFTER: Final = "5"
"""Seconds after which a sender should try again when the database is away."""


_log = logging.getLogger(__name__)


ASKED_AT_THE_DOOR: Final = "meterbook.door"
"""By this key of the environ the front asks whether a request would come as far as the view; no sender can set it."""


class _Format(NamedTuple):
    """How a kind of body is read, batch by batch, and how what became of its events is answered."""

    read: Callable[[Request], Iterator[Reading]]
    answer: Callable[[Tally], HttpResponse] = answers.report
    most_problems: int | None = None


class Store(Protocol):
    """Stores what a request, or a part of it, holds, and says what became of it once it is committed."""

    def __call__(self, reading: Reading, key: KnownKey) -> services.IngestReport: ...


def store_at_once(reading: Reading, key: KnownKey) -> services.IngestReport:
    """Store on the connection of this thread, in a transaction of its own."""
    return services.ingest(events=reading, origin="api", key=key, now=clock.now())


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
    response = _attempt(request, store, ask)
    if response.status_code in (400, 403, 413, 415, 429, 500, 503):
        bodies.pass_over(request)
    return response


def _attempt(request: Request, store: Store, ask: Ask) -> HttpResponse:
    """Store what the body holds, and the answer, whatever happened."""
    tally = Tally(None)
    try:
        if request.method != "POST":
            raise Refusal(405, "method_not_allowed", "Events are sent by POST.", Allow="POST")
        key = access.authenticate(request.headers.get("Authorization", ""), keys.INGEST, clock.now(), ask=ask)
        form = _format(request)
        tally = Tally(form.most_problems)
        for reading in form.read(request):
            _charge(key, reading, tally, ask)
            tally.add(store(reading, key))
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
    except (OperationalError, InterfaceError, ImproperlyConfigured) as error:  # the last: no embedded server
        _log.warning("Events were not taken: %s", error)
        detail = "The database takes no events at the moment; send the same request again in a few seconds."
        return _later(problem(503, "unavailable", detail, **tally.so_far()))
    except Exception:
        _log.exception("Events were not taken.")
        detail = "Something went wrong here, and was written to the log; send the same request again later."
        return _later(problem(500, "internal_error", detail, **tally.so_far()))


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


def _format(request: Request) -> _Format:
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


def _json(request: Request) -> Iterator[Reading]:
    """One event or a list."""
    yield validate.read(bodies.whole(request))


def _lines(request: Request) -> Iterator[Reading]:
    """One event a line, of any number, never held as a whole."""
    return lines.batches(
        bodies.pieces(request),
        longest_line=settings.USAGE_LINE_LIMIT_BYTES,
        most_bytes=settings.USAGE_BODY_LIMIT_BYTES,
        most_events=min(lines.BATCH, settings.USAGE_BATCH_LIMIT),
    )


def _structured(request: Request) -> Iterator[Reading]:
    """One CloudEvent."""
    yield cloudevents.structured(bodies.whole(request))


def _batched(request: Request) -> Iterator[Reading]:
    """A list of CloudEvents."""
    yield cloudevents.batched(bodies.whole(request))


def _binary(request: Request) -> Iterator[Reading]:
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
