"""`POST /api/v1/corrections` and `/api/v1/backfills`: what the pages of corrections do, for programs."""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

from django.conf import settings
from django.db import DataError, InterfaceError, OperationalError, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from billing.metering import access, bodies, keys, validate
from billing.metering.access import KnownKey
from billing.metering.answers import problem
from billing.metering.cases import read_json
from billing.metering.corrections import queries, services
from billing.metering.corrections.criteria import Changes, Criteria, read_changes, read_criteria
from billing.metering.corrections.errors import CorrectionError, CriteriaError, NothingToCorrect
from billing.metering.corrections.models import Backfill, Correction
from billing.metering.errors import Refusal, UnreadableBody
from billing.metering.views import RETRY_AFTER
from billing.money import plain
from config import clock

KEYS = ("kind", "reason", "criteria", "changes", "correction", "backfill", "dry_run", "expected")
SHOWN = 100
"""Subjects that a dry run names; it counts all."""


def _posted(view: Callable[[Any, KnownKey], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """The view for a JSON object sent by POST with a key that may correct; failures are answered as problems."""

    @csrf_exempt  # no cookie counts here: the key in the header is the whole authority
    @wraps(view)
    def answer(request: HttpRequest) -> HttpResponse:
        try:
            if request.method != "POST":
                raise Refusal(405, "method_not_allowed", "This is sent by POST.", Allow="POST")
            key = access.authenticate(request.headers.get("Authorization", ""), keys.CORRECT, clock.now())
            return view(_object(bodies.whole(request)), key)
        except Refusal as refusal:
            response = problem(refusal.status, refusal.code, refusal.detail)
            for name, value in refusal.headers.items():
                response[name] = value
            return response
        except UnreadableBody as error:
            return problem(400, error.code, str(error))
        except CriteriaError as error:
            return problem(400, f"invalid_{error.field}", str(error))
        except NothingToCorrect as error:
            return problem(404, "nothing_to_correct", str(error))
        except CorrectionError as error:
            return problem(409, "cannot_correct", str(error))
        except DataError:
            detail = "The changes hold a number that is too large to be stored; write it as a string, or shorten it."
            return problem(400, "invalid_data", detail)
        except (OperationalError, InterfaceError):
            response = problem(503, "unavailable", "The database is away; ask again in a few seconds.")
            response["Retry-After"] = RETRY_AFTER
            return response

    return answer


@_posted
def corrections(given: dict[str, Any], key: KnownKey) -> HttpResponse:
    """Void, replace, revert or undo; with `dry_run`, say what would happen and store nothing."""
    for name in given:
        if name not in KEYS:
            raise CriteriaError(name, f"{name!r} is no key of a correction; there are {', '.join(KEYS)}.")
    kind = given.get("kind")
    by: dict[str, Any] = {"reason": _text(given, "reason"), "user": None, "now": clock.now(), "key_id": key.pk}
    if kind in ("void", "replace"):
        criteria = read_criteria(given.get("criteria"))
        changes = _changes(given) if kind == "replace" else None
        if given.get("dry_run") is True:
            return _previewed(criteria, changes)
        by["expected"] = given.get("expected")
        made = (
            services.replace(criteria=criteria, changes=changes, **by)
            if changes
            else services.void(criteria=criteria, **by)
        )
    elif kind == "undo":
        made = services.undo(correction=_found(Correction, given, "correction"), **by)
    elif kind == "revert":
        made = services.revert(backfill=_found(Backfill, given, "backfill"), **by)
    else:
        raise CriteriaError("kind", f"{kind!r} is no kind of correction; write void, replace, undo or revert.")
    return JsonResponse({"id": made.pk, "kind": made.kind, "events": made.events}, status=201)


@_posted
def backfills(given: dict[str, Any], key: KnownKey) -> HttpResponse:
    """Name usage that comes in together: its requests carry the id in the header `Meterbook-Backfill`."""
    name, reason = _text(given, "name"), _text(given, "reason")
    if not name or not reason:
        raise CriteriaError("name" if not name else "reason", "A backfill needs a name and a reason.")
    made = services.make_backfill(name=name[:200], reason=reason, user=None, now=clock.now(), key_id=key.pk)
    return JsonResponse({"id": made.pk, "name": made.name}, status=201)


def _changes(given: dict[str, Any]) -> Changes:
    """What a replacement changes; no time may lie in the future (R1.5)."""
    changes = read_changes(given.get("changes"))
    if changes.time and changes.time > clock.now() + timedelta(seconds=settings.USAGE_FUTURE_LIMIT_SECONDS):
        raise CriteriaError("time", f"The time {changes.time.isoformat()} lies in the future, which no usage does.")
    return changes


def _previewed(criteria: Criteria, changes: Changes | None) -> HttpResponse:
    """What a correction would do: to how many events, and to which monthly quantities."""
    found = queries.selected(criteria)
    if found.period is None:
        raise NothingToCorrect

    def act() -> object:
        asked: dict[str, Any] = {"criteria": criteria, "reason": "dry run", "user": None, "now": clock.now()}
        return services.replace(changes=changes, **asked) if changes else services.void(**asked)

    subjects = [*found.subjects, *([changes.subject] if changes and changes.subject else [])]
    customers = queries.customers_of(subjects)
    with transaction.atomic():
        effects = queries.effects(customer_ids=customers, types=found.types, period=found.period, act=act)
    return JsonResponse({
        "events": found.events, "first": found.first, "last": found.last, "types": found.types,
        "subjects": found.subjects[:SHOWN], "subject_count": len(found.subjects), "customer_count": len(customers),
        "effects": [
            {
                "customer": each.customer.external_id, "meter": each.meter.code, "month": f"{each.month:%Y-%m}",
                "before": plain(each.before), "after": plain(each.after),
            }
            for each in effects
        ],
    })  # fmt: skip


def _object(body: bytes) -> dict[str, Any]:
    """The body as a JSON object, with exact numbers."""
    if found := validate.unstorable(body):
        raise UnreadableBody(*found)
    try:
        given = read_json(body.decode())
    except (ValueError, RecursionError):
        raise UnreadableBody("invalid_json", "The body is no JSON; check how it was made.") from None
    if not isinstance(given, dict):
        raise UnreadableBody("not_an_object", "The body is no JSON object.")
    return given


def _text(given: dict[str, Any], name: str) -> str:
    """A text without NUL, or none."""
    value = given.get(name) or ""
    if not isinstance(value, str) or "\0" in value:
        raise CriteriaError(name, f"Write the {name} as a text.")
    return value.strip()


def _found(model: Any, given: dict[str, Any], name: str) -> Any:
    """The record of that number; Refusal (404) when there is none."""
    number = given.get(name)
    if isinstance(number, bool) or not isinstance(number, int):
        raise CriteriaError(name, f"Name the {name} by its number.")
    found = model.objects.filter(pk=number).first() if 0 < number < 2**63 else None
    if found is None:
        raise Refusal(404, "not_found", f"There is no {name} {number}.")
    return found
