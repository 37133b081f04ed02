"""The description of the API as OpenAPI 3.1, from the names and limits that the code itself uses."""

from typing import Any, Final

from django.conf import settings

from billing.metering import keys
from billing.metering.answers import MOST_PROBLEMS
from billing.metering.api.schemas import SCHEMAS, Schema, listed, nullable, ref, text
from billing.metering.api.usage import MOST_DIMENSIONS, WINDOWS
from billing.metering.lines import BATCH
from billing.metering.reports.services import KEPT_DAYS
from billing.metering.views import BACKFILL, CLOUD_BATCH, CLOUD_EVENT, JSON, NDJSON, RETRY_AFTER

VERSION: Final = "v1"

_EVENT: Final = {
    "id": "req-1", "type": "inference", "subject": "org_8213", "time": "2026-03-01T12:00:00Z",
    "data": {"tokens": 4808, "model": "large-2"},
}  # fmt: skip
_CLOUD: Final = {"specversion": "1.0", "source": "gateway"} | _EVENT
_LAGO: Final = {
    "transaction_id": "req-1", "external_subscription_id": "org_8213", "code": "inference", "timestamp": 1772366400,
    "properties": {"tokens": 4808},
}  # fmt: skip
_SENT: Final = """curl {server}/api/v1/events \\
  -H "Authorization: Bearer $METERBOOK_KEY" -H "Content-Type: application/json" \\
  -d '{{"id": "req-1", "type": "inference", "subject": "org_8213", "data": {{"tokens": 4808}}}}'"""
_AS_LAGO: Final = """curl {server}/api/v1/events/batch \\
  -H "Authorization: Bearer $METERBOOK_KEY" -H "Content-Type: application/json" \\
  -d '{{"events": [{{"transaction_id": "req-2", "external_subscription_id": "org_8213", "code": "inference",
       "timestamp": 1772366400, "properties": {{"tokens": 4808}}}}]}}'"""
_VOID: Final = {
    "kind": "void", "reason": "A load test.", "criteria": {"source": "gateway", "ids": ["req-1"]}, "dry_run": True,
}  # fmt: skip
_VOIDED: Final = """curl {server}/api/v1/corrections \\
  -H "Authorization: Bearer $METERBOOK_KEY" -H "Content-Type: application/json" \\
  -d '{{"kind": "void", "reason": "A load test.", "criteria": {{"source": "gateway", "ids": ["req-1"]}},
       "dry_run": true}}'"""
_LOST: Final = {"name": "Usage of 1 March", "reason": "The gateway was down."}
_REFILLED: Final = """curl {server}/api/v1/backfills \\
  -H "Authorization: Bearer $METERBOOK_KEY" -H "Content-Type: application/json" \\
  -d '{{"name": "Usage of 1 March", "reason": "The gateway was down."}}'"""
_MARCH: Final = "/api/v1/usage?customer=org_8213&meter=tokens&start=2026-03-01&end=2026-04-01&window=day"
_READ: Final = 'curl "{server}{path}" \\\n  -H "Authorization: Bearer $METERBOOK_KEY"'


def document(server: str) -> dict[str, Any]:
    """The whole description; `server` is the address below which it is true, such as `https://meterbook.example`."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Meterbook",
            "version": VERSION,
            "summary": "Usage events in, quantities out.",
            "description": "Errors are problems as RFC 9457 has them, with a `code` for programs and a `detail` for "
            "people. After a 503, or no answer at all, the same request may be sent again: an event counts once.",
        },
        "servers": [{"url": server}],
        "security": [{"key": []}],
        "tags": [
            {"name": "Sending", "description": f"Needs an API key with the scope {keys.INGEST}."},
            {"name": "Reading", "description": f"Needs an API key with the scope {keys.READ}."},
            {"name": "Correcting", "description": f"Needs an API key with the scope {keys.CORRECT}."},
        ],
        "paths": _paths(server),
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key, made in the admin: mb_…"}
            },
        },
    }


def _paths(server: str) -> dict[str, Any]:
    """Every address and what it does."""
    return {
        "/api/v1/events": {"post": _send(server), "get": _fate_by_name(server)},
        "/api/v1/events/batch": {"post": _send_as_lago(server)},
        "/api/v1/events/{source}/{id}": {"get": _fate(server)},
        "/api/v1/usage": {"get": _usage(server)},
        "/api/v1/problems/{id}": {"get": _problems(server)},
        "/api/v1/corrections": {"post": _correct(server)},
        "/api/v1/backfills": {"post": _backfill(server)},
        "/healthz": {"get": _health(server)},
    }


def _send(server: str) -> dict[str, Any]:
    """Sending events, in every format."""
    limit, most = settings.USAGE_BODY_LIMIT_BYTES, settings.USAGE_BATCH_LIMIT
    one_or_many = {"oneOf": [ref("Event"), listed(ref("Event"), maxItems=most)]}
    lago = {"type": "object", "required": ["event"], "properties": {"event": ref("LagoEvent")}}
    return {
        "tags": ["Sending"],
        "operationId": "sendEvents",
        "summary": "Send usage events",
        "description": f"One event or many, at most {most:,} and {limit:,} bytes at once, plain or gzipped. Every good "
        "event is stored once, ever, by its source and id, and each other one is named by its place. As "
        f"`{NDJSON}` a body may have any length: its lines are stored {BATCH:,} at a time.",
        "parameters": [
            _header("Content-Encoding", {"enum": ["identity", "gzip"]}, "How the body is packed."),
            _header(BACKFILL, text(), "The id of the backfill to which the events belong."),
        ],
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": {"anyOf": [one_or_many, lago]}, "example": _EVENT},
                NDJSON: {"schema": text("One event a line.")},
                CLOUD_EVENT: {"schema": ref("CloudEvent"), "example": _CLOUD},
                CLOUD_BATCH: {"schema": listed(ref("CloudEvent")), "example": [_CLOUD]},
            },
        },
        "responses": {
            "200": _answer("What became of the events; of Lago’s, the event.", {
                "anyOf": [ref("Report"), ref("StreamReport"), _echoed("event", ref("LagoEcho"))]
            }),
            "204": {"description": "CloudEvents: every event is stored, or was known."},
            "422": _problem("An event of Lago’s that was not taken.", "LagoProblem"),
            **_refusals(400, 401, 403, 404, 411, 413, 415, 429, 500, 503),
        },
        "x-example": _SENT.format(server=server),
    }  # fmt: skip


def _send_as_lago(server: str) -> dict[str, Any]:
    """Sending a batch as Lago's clients do."""
    return {
        "tags": ["Sending"],
        "operationId": "sendEventsOfLago",
        "summary": "Send usage events as Lago’s clients do",
        "description": "`transaction_id` is the id, `external_subscription_id` the subject, `code` the type; the "
        "source is the key’s default source. The good events are kept also when others are not.",
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": _echoed("events", listed(ref("LagoEvent"))), "example": {"events": [_LAGO]}}},
        },
        "responses": {
            "200": _answer("Every event is stored, or was known.", _echoed("events", listed(ref("LagoEcho")))),
            "422": _problem("Some events were not taken.", "LagoProblem"),
            **_refusals(400, 401, 403, 404, 411, 413, 415, 429, 500, 503),
        },
        "x-example": _AS_LAGO.format(server=server),
    }


def _fate(server: str) -> dict[str, Any]:
    """The fate of an event by its address."""
    return _reading(
        "eventFate", "What became of an event",
        "Its data, when it was recorded, the customer that claims its subject, and what every meter of its type makes "
        "of it. Slashes within the source or the id may be written as they are, or as %2F.",
        [_in("path", "source", _any()), _in("path", "id", _any())],
        _answer("The event and its fate.", ref("Fate")), (400, 401, 403, 404, 409, 429, 503),
        _READ.format(server=server, path="/api/v1/events/gateway/req-1"),
    )  # fmt: skip


def _fate_by_name(server: str) -> dict[str, Any]:
    """The fate of an event whose source or id no address can hold."""
    return _reading(
        "eventFateByName", "What became of an event, by parameters",
        "The same answer, for sources and ids that an address cannot hold.",
        [_in("query", "source", _any()), _in("query", "id", _any())],
        _answer("The event and its fate.", ref("Fate")), (400, 401, 403, 404, 405, 429, 503),
        _READ.format(server=server, path="/api/v1/events?source=gateway&id=req-1"),
    )  # fmt: skip


def _usage(server: str) -> dict[str, Any]:
    """Quantities."""
    bound = "A date, which is midnight in the time zone, or an instant with its zone."
    return _reading(
        "usage", "What a customer used",
        "The exact quantity of a meter in a period, everything committed included. With `window` or `group_by` there "
        "is a row for each window and combination that has events; only counts and sums add up over rows.",
        [
            _in("query", "customer", text("The customer’s external id.")),
            _in("query", "meter", text("The meter’s code.")),
            _in("query", "start", text(bound)),
            _in("query", "end", text(f"Exclusive. {bound}")),
            _in("query", "window", {"enum": list(WINDOWS)}, required=False),
            _in("query", "group_by", listed(text(), maxItems=MOST_DIMENSIONS), required=False)
            | {"style": "form", "explode": False, "description": "Properties of the events, divided by commas."},
            _in("query", "timezone", text("IANA name; the customer’s unless given."), required=False),
        ],
        _answer("The quantities.", ref("Usage")), (400, 401, 403, 404, 429, 503),
        _READ.format(server=server, path=_MARCH),
    )  # fmt: skip


def _problems(server: str) -> dict[str, Any]:
    """The file of problems."""
    return _reading(
        "problems", "All problems of a stream",
        f"One a line, for {KEPT_DAYS} days; the answer to the stream names the first {MOST_PROBLEMS:,}. The key that "
        "sent the stream may read them too.",
        [_in("path", "id", text(format="uuid"))],
        {"description": "Problems, one a line.", "content": {NDJSON: {"schema": text()}}}, (401, 403, 404, 429, 503),
        _READ.format(server=server, path="/api/v1/problems/0b9f6c1e-6f0c-4a53-9d0e-6f8b3b7f7f4e"),
    )  # fmt: skip


def _correct(server: str) -> dict[str, Any]:
    """Void, replace, undo, revert."""
    return {
        "tags": ["Correcting"],
        "operationId": "correct",
        "summary": "Correct events",
        "description": "Takes events back, puts others in their place, or undoes that: new facts with a reason, never "
        "an edit. With `dry_run` it only tells what would change.",
        "requestBody": {"required": True, "content": {JSON: {"schema": ref("Correction"), "example": _VOID}}},
        "responses": {
            "200": _answer("What it would change; nothing was stored.", ref("CorrectionPreview")),
            "201": _answer("It is made.", ref("CorrectionMade")),
            **_refusals(400, 401, 403, 404, 409, 413, 415, 429, 503),
        },
        "x-example": _VOIDED.format(server=server),
    }


def _backfill(server: str) -> dict[str, Any]:
    """A name for usage that comes in together."""
    return {
        "tags": ["Correcting"],
        "operationId": "backfill",
        "summary": "Begin a backfill",
        "description": f"Requests that carry its id in the header `{BACKFILL}` belong to it; it can be reverted whole.",
        "requestBody": {"required": True, "content": {JSON: {"schema": ref("Backfill"), "example": _LOST}}},
        "responses": {
            "201": _answer("Its id.", ref("BackfillMade")),
            **_refusals(400, 401, 403, 413, 415, 429, 503),
        },
        "x-example": _REFILLED.format(server=server),
    }


def _health(server: str) -> dict[str, Any]:
    """The health check."""
    return {
        "tags": ["Reading"],
        "operationId": "health",
        "summary": "Whether the server reaches its database",
        "description": "For load balancers; needs no key.",
        "security": [],
        "responses": {
            "200": _answer("It does.", ref("Health")),
            "503": _answer("It does not.", ref("Health")),
        },
        "x-example": f"curl {server}/healthz",
    }


def _reading(
    name: str, summary: str, description: str, parameters: list[Schema], answer: Schema, refusals: tuple[int, ...],
    example: str,
) -> dict[str, Any]:  # fmt: skip
    """An operation that reads."""
    return {
        "tags": ["Reading"],
        "operationId": name,
        "summary": summary,
        "description": description,
        "parameters": parameters,
        "responses": {"200": answer, **_refusals(*refusals)},
        "x-example": example,
    }


_REFUSED: Final = {
    400: "It cannot be read, or CloudEvents were not all taken; the code says why.",
    401: "No key, a wrong one, or one that has ended.",
    403: "The key has not the scope that is needed.",
    404: "There is no such thing.",
    405: "Another method is needed.",
    409: "The address can mean several events.",
    411: "The length of the body is needed.",
    413: "Too large; or gzip that unpacks to far more than it is.",
    415: "Another content type, charset or encoding is needed.",
    429: "The key’s limit is reached; wait as long as Retry-After says.",
    500: "A fault of the server; it is in its log.",
    503: f"The database is away; wait as long as Retry-After says ({RETRY_AFTER} seconds).",
}


def _refusals(*statuses: int) -> dict[str, Schema]:
    """The answers that end a request."""
    return {
        str(status): _problem(_REFUSED[status], "ReportedProblem")
        | ({"headers": {"Retry-After": {"schema": {"type": "integer"}}}} if status in (429, 503) else {})
        for status in statuses
    }


def _problem(description: str, schema: str) -> Schema:
    return {"description": description, "content": {"application/problem+json": {"schema": ref(schema)}}}


def _answer(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {JSON: {"schema": schema}}}


def _echoed(name: str, schema: Schema) -> Schema:
    return {
        "type": "object",
        "required": [name],
        "properties": {name: schema if name == "events" else nullable(schema)},
    }


def _any() -> Schema:
    return text(minLength=1)


def _in(place: str, name: str, schema: Schema, *, required: bool = True) -> Schema:
    described = {key: value for key, value in schema.items() if key != "description"}
    note = {"description": schema["description"]} if "description" in schema else {}
    return {"name": name, "in": place, "required": required, "schema": described} | note


def _header(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "header", "required": False, "schema": schema, "description": description}
