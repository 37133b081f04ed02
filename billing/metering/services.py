"""The verbs of metering: take events in, make and revoke API keys."""

import random
import time
from bisect import bisect_right
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import psycopg
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import DataError, Error, IntegrityError, OperationalError, transaction

from billing.metering import access, append, keys, names, partitions, validate, waiting
from billing.metering.access import KnownKey
from billing.metering.errors import KeyAlreadyRevoked, KeyEnded, TooManyEvents, TooManyNewMonths
from billing.metering.models import ApiKey
from billing.metering.reports import services as unstored
from billing.metering.rollups import runner
from billing.metering.validate import NewEvent, Problem, Reading

CONFLICT: Final = "conflict"
"""The code of the one problem that is no rejection: known, with another content."""

ATTEMPTS: Final = 6
"""How often a batch is tried that lost against another one (deadlock)."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one request brings, and with which key."""

    reading: Reading
    key: KnownKey

    @property
    def size(self) -> int:
        """How many events it has, good and bad."""
        return len(self.reading.events) + len(self.reading.problems)


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What became of a request's events: every one of them is in exactly one of the four.

    `conflicts` and `rejected` say each one's place in the request; `batch` is the number of the commit, None when
    nothing was stored.
    """

    accepted: int = 0
    duplicates: int = 0
    conflicts: tuple[Problem, ...] = ()
    rejected: tuple[Problem, ...] = ()
    batch: int | None = None


def ingest(
    *,
    events: Sequence[NewEvent] | Reading | bytes,
    origin: str,
    now: datetime,
    key: ApiKey | KnownKey | None = None,
    default_source: str | None = None,
    backfill_id: int | None = None,
) -> IngestReport:
    """Store every good event once, ever, and answer every other one by its place (R1.1, R1.2, R1.5).

    `events` are events, a Reading of some, whose places are its own, or the bytes of a request (one JSON event or a
    list); `origin` says where they come from ("api", "import FILE"), `backfill_id` which Backfill they belong to;
    `default_source` (else the key's) is the source of events that name none; `now`, aware, is the time of events that
    carry none and the time of recording.

    It opens its own transaction: on return everything accepted is committed, unless the caller holds one open around
    it. Callers need not order or deduplicate anything, and may send again after any failure. UnreadableBody when the
    bytes are no JSON events; TooManyEvents beyond `settings.USAGE_BATCH_LIMIT`; OperationalError when the database is
    away.
    """
    source = default_source or (key.default_source if key else None)
    if isinstance(events, bytes):
        events = validate.read(events)
    reading = events if isinstance(events, Reading) else Reading(list(enumerate(events)), [])
    if len(reading.events) + len(reading.problems) > settings.USAGE_BATCH_LIMIT:
        raise TooManyEvents(len(reading.events) + len(reading.problems), settings.USAGE_BATCH_LIMIT)
    sender = _Sender(source or "", origin, key.pk if key else None, backfill_id)
    (report,) = _ingest([reading], sender, now)
    _count_rejects([reading], [report], sender, now)
    return report


def ingest_together(*, deliveries: Sequence[Delivery], origin: str, now: datetime) -> list[IngestReport]:
    """`ingest` for several requests in one transaction: a report each, as if each had come by itself, in their order.

    Requests with the same key share a batch. When one fails, all fail.
    """
    by_key: dict[int, list[int]] = {}
    for place, delivery in enumerate(deliveries):
        if delivery.size > settings.USAGE_BATCH_LIMIT:
            raise TooManyEvents(delivery.size, settings.USAGE_BATCH_LIMIT)
        by_key.setdefault(delivery.key.pk, []).append(place)
    reports: dict[int, IngestReport] = {}
    with transaction.atomic() if len(by_key) > 1 else nullcontext():
        for places in by_key.values():
            readings, sender = _shared(deliveries, places, origin)
            reports.update(zip(places, _ingest(readings, sender, now), strict=True))
    for places in by_key.values():
        readings, sender = _shared(deliveries, places, origin)
        _count_rejects(readings, [reports[place] for place in places], sender, now)
    return [reports[place] for place in range(len(deliveries))]


def _shared(deliveries: Sequence[Delivery], places: Sequence[int], origin: str) -> tuple[list[Reading], "_Sender"]:
    """What the requests at these places hold, which have one key, and where it comes from."""
    key = deliveries[places[0]].key
    return [deliveries[place].reading for place in places], _Sender(key.default_source, origin, key.pk, None)


@dataclass(frozen=True, slots=True)
class _Sender:
    """Where events come from: the source of those that name none, and what their batch tells of it."""

    default_source: str
    origin: str
    key_id: int | None
    backfill_id: int | None


@dataclass(frozen=True, slots=True)
class _Stored:
    """What became of well-formed events: the batch's number, and the places of those that it does not hold."""

    batch: int | None = None
    duplicates: Sequence[int] = ()
    conflicts: Sequence[Problem] = ()
    rejected: Sequence[Problem] = ()


def _ingest(readings: Sequence[Reading], sender: _Sender, now: datetime) -> list[IngestReport]:
    """Store what several requests hold as one batch, and say for each what became of its events."""
    latest = now + timedelta(seconds=settings.USAGE_FUTURE_LIMIT_SECONDS)
    starts = [0]
    for reading in readings[:-1]:
        places = [index for index, _ in reading.events] + [problem.index for problem in reading.problems]
        starts.append(starts[-1] + max(places, default=-1) + 1)
    events = readings[0].events
    if len(readings) > 1:
        pairs = zip(starts, readings, strict=True)
        events = [(start + index, event) for start, reading in pairs for index, event in reading.events]
    good, refused = validate.check_all(events, latest, has_default_source=bool(sender.default_source))
    stored = _store(good, sender, now)
    runner.wake()
    return _reports(readings, starts, stored, [*refused, *stored.rejected])


def _reports(
    readings: Sequence[Reading], starts: Sequence[int], stored: _Stored, rejected: Sequence[Problem]
) -> list[IngestReport]:
    """The verdict on all events, taken apart by request; places are again those in the request."""
    duplicates = [0] * len(readings)
    for place in stored.duplicates:
        duplicates[bisect_right(starts, place) - 1] += 1
    conflicts, others = (_apart(problems, starts) for problems in (stored.conflicts, rejected))
    return [
        IngestReport(
            accepted := len(reading.events) - count - len(contradicting) - len(refused),
            count,
            tuple(contradicting),
            tuple(sorted((*reading.problems, *refused), key=lambda each: each.index)),
            stored.batch if accepted else None,
        )
        for reading, count, contradicting, refused in zip(readings, duplicates, conflicts, others, strict=True)
    ]


def _apart(problems: Sequence[Problem], starts: Sequence[int]) -> list[list[Problem]]:
    """Problems by request, with their places in it."""
    parts: list[list[Problem]] = [[] for _ in starts]
    for problem in problems:
        part = bisect_right(starts, problem.index) - 1
        parts[part].append(replace(problem, index=problem.index - starts[part]))
    return parts


def _store(events: list[tuple[int, NewEvent]], sender: _Sender, now: datetime) -> _Stored:
    """Append well-formed events, again after losing against another batch, and without those that jsonb refuses."""
    rejected: list[Problem] = []
    for attempt in range(ATTEMPTS):
        if not events:
            break
        try:
            rows = _rows(events, sender.default_source, now)
            stored = _append(events, rows, sender, now)
        except DataError:
            bad = set(append.bad_data(rows))
            if not bad:
                raise
            rejected += [Problem(i, event.id, "invalid_data", _UNSTORABLE) for i, event in events if i in bad]
            events = [(i, event) for i, event in events if i not in bad]
        except TooManyNewMonths as error:
            early = {i for i, event in events if event.time and f"{event.time.astimezone(UTC):%Y-%m}" in error.months}
            rejected += [Problem(i, event.id, "too_many_new_months", _EARLY) for i, event in events if i in early]
            events = [(i, event) for i, event in events if i not in early]
        except (OperationalError, IntegrityError) as error:
            if attempt == ATTEMPTS - 1 or not _passing(error):
                raise
            partitions.forget()
            time.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311 - only to keep two rivals apart
        else:
            if stored.conflicts:
                _record(rows, stored.conflicts, sender, now)
            return replace(stored, rejected=rejected)
    return _Stored(rejected=rejected)


_UNSTORABLE: Final = "The data holds a number that is too large to be stored; write it as a string, or shorten it."

_EARLY: Final = (
    f"The request begins more than {partitions.MOST_NEW} months that hold no events yet, and this event’s is one of the"
    " earliest; send it again, by itself or with its like."
)


def _passing(error: Error) -> bool:
    """Whether the same batch may succeed when it is tried again."""
    cause = error.__cause__
    lost = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)
    # A check violation here is a month that was remembered as made, and is gone.
    return isinstance(cause, (*lost, psycopg.errors.CheckViolation))


def _rows(events: list[tuple[int, NewEvent]], default_source: str, now: datetime) -> append.Rows:
    """Events as rows, with their names interned and their months made."""
    given = [event for _, event in events]
    sources = names.sources.numbers([event.source or default_source for event in given])
    types = names.types.numbers([event.type for event in given])
    subjects = names.subjects.numbers([event.subject for event in given])
    ids = [event.id for event in given]
    sent = [event.time for event in given]
    partitions.ensure(partitions.of([time or now for time in sent]))
    return append.Rows(
        n=[index for index, _ in events],
        digest=list(map(append.digest_of, sources, ids)),
        source=sources,
        type=types,
        subject=subjects,
        sent=sent,
        id=ids,
        data=[event.data for event in given],
    )


def _append(events: list[tuple[int, NewEvent]], rows: append.Rows, sender: _Sender, now: datetime) -> _Stored:
    """The rows whose keys are new, stored, and the verdict on the others; a savepoint where a transaction is open."""
    with waiting.limited():
        done = append.append(rows, origin=sender.origin, key_id=sender.key_id, now=now, backfill_id=sender.backfill_id)
    ids = {index: event.id for index, event in events} if done.conflicts else {}
    conflicts = [Problem(i, ids[i], CONFLICT, _CONFLICT.format(ids[i])) for i in done.conflicts]
    return _Stored(done.batch, done.duplicates, conflicts)


def _record(rows: append.Rows, conflicts: Sequence[Problem], sender: _Sender, now: datetime) -> None:
    """Keep what was sent and not stored, before anybody is told of it."""
    at = {problem.index for problem in conflicts}
    contrary = rows.pick([position for position, n in enumerate(rows.n) if n in at])
    unstored.record_conflicts(rows=contrary, origin=sender.origin, key_id=sender.key_id, now=now)


def _count_rejects(
    readings: Sequence[Reading], reports: Sequence[IngestReport], sender: _Sender, now: datetime
) -> None:
    """Count what was refused, once all else is committed, with the last event of each code."""
    problems = [problem for report in reports for problem in report.rejected]
    if not problems:
        return
    examples: dict[str, str] = {}
    for reading, report in zip(readings, reports, strict=True):
        examples |= reading.examples
        events = dict(reading.events) if report.rejected else {}
        last = {problem.code: events[problem.index] for problem in report.rejected if problem.index in events}
        examples |= {code: unstored.example_of(event=event) for code, event in last.items()}
    unstored.count_rejects(problems=problems, examples=examples, origin=sender.origin, key_id=sender.key_id, now=now)


_CONFLICT: Final = (
    "An event with the id {!r} is stored from this source with another content; the first stands. "
    "Send what is new under an id of its own."
)


def create_api_key(
    *,
    name: str,
    default_source: str,
    user: AbstractBaseUser | None,
    now: datetime,
    scopes: Collection[str] = (keys.INGEST,),
    rate_limit: int | None = None,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its secret, which is nowhere kept and cannot be shown again.

    `scopes` is what it may do ("ingest", "read"; at least one), `rate_limit` events a second, `expires_at` (aware) the
    first instant at which it is refused; None for no limit and no end.
    """
    made = ApiKey(
        name=name, default_source=default_source, scopes=sorted(scopes), rate_limit=rate_limit, expires_at=expires_at
    )
    return _issue(made, user, now)


def rotate_api_key(
    *,
    key: ApiKey,
    overlap: timedelta,
    user: AbstractBaseUser | None,
    now: datetime,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """A new key that may do what `key` may, and its secret; `key` itself ends after `overlap`, or earlier if it would.

    Each has the limit for itself while both live. KeyEnded when `key` was revoked or has expired.
    """
    with transaction.atomic():
        old = ApiKey.objects.select_for_update().get(pk=key.pk)
        if keys.state_of(revoked_at=old.revoked_at, expires_at=old.expires_at, now=now) != "active":
            raise KeyEnded(old.name)
        ends = now + overlap
        key.expires_at = old.expires_at = min(ends, old.expires_at) if old.expires_at else ends
        old.save(update_fields=["expires_at"])
        made = ApiKey(
            name=old.name,
            default_source=old.default_source,
            scopes=old.scopes,
            rate_limit=old.rate_limit,
            expires_at=expires_at,
            replaces=old,
        )
        issued = _issue(made, user, now)
    access.forget()
    return issued


def revoke_api_key(*, key: ApiKey, now: datetime) -> None:
    """End a key: this process refuses the next request with it, every other one within two seconds.

    KeyAlreadyRevoked the second time.
    """
    revoked = ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now)
    if not revoked:
        raise KeyAlreadyRevoked(key.name)
    key.revoked_at = now
    access.forget()


def _issue(key: ApiKey, user: AbstractBaseUser | None, now: datetime) -> tuple[ApiKey, str]:
    """Give a key its secret and store it."""
    secret, key.prefix = keys.make_secret()
    key.digest = keys.digest_of(secret)
    key.created_by_id = user.pk if user else None
    key.created_at = now.astimezone(UTC)
    key.save(force_insert=True)
    return key, secret
