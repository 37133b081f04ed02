"""The shapes that the API takes and answers, as JSON Schema; limits and names are those of the code that holds them."""

from typing import Any, Final

from billing.metering import lago
from billing.metering.answers import MOST_PROBLEMS
from billing.metering.corrections.criteria import MAX_IDS
from billing.metering.models import Meter
from billing.metering.validate import MAX_ID, MAX_NAME, MAX_TYPE

Schema = dict[str, Any]


def ref(name: str) -> Schema:
    """A reference to a schema of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def text(description: str = "", **more: Any) -> Schema:
    """A string."""
    return {"type": "string"} | ({"description": description} if description else {}) | more


def nullable(schema: Schema) -> Schema:
    """The schema, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def entry(required: str, **properties: Schema) -> Schema:
    """An object with these properties; `required` names those that it must have, divided by spaces."""
    return {"type": "object", "required": required.split(), "properties": properties}


def listed(schema: Schema, **more: Any) -> Schema:
    """A list."""
    return {"type": "array", "items": schema} | more


_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_NUMBER: Final[Schema] = {"type": "integer"}
_INSTANT: Final[Schema] = {"type": "string", "format": "date-time"}
_ID: Final = text("Your own id of the event, unique within its source.", minLength=1, maxLength=MAX_ID)
_TYPE: Final = text("What happened; meters choose events by it.", minLength=1, maxLength=MAX_TYPE)
_SUBJECT: Final = text("For whom it happened, in your words; a customer claims it.", minLength=1, maxLength=MAX_NAME)
_SOURCE: Final = text("The system that sends.", minLength=1, maxLength=MAX_NAME)
_TIME: Final = text(
    "RFC 3339 with zone; left out or null, it is now. Not before 1970, nor more than minutes ahead.",
    format="date-time",
)
_DATA: Final[Schema] = {
    "type": "object",
    "description": "Properties that meters read. Numbers are kept exactly, as numbers or as strings.",
}
_DECIMAL: Final = text("An exact decimal.", pattern=r"^-?[0-9]+(\.[0-9]+)?$")

_REPORT: Final[dict[str, Schema]] = {
    "accepted": _COUNT | {"description": "Stored, and committed before the answer."},
    "duplicates": _COUNT | {"description": "Known already with the same content: a success."},
    "conflicts": listed(ref("EventProblem"), description="Known with another content; the first stands."),
    "rejected": listed(ref("EventProblem"), description="Cannot be stored."),
}
_PROBLEM: Final[dict[str, Schema]] = {
    "type": text(),
    "title": text(),
    "status": {"type": "integer"},
    "code": text("What is wrong, for programs."),
    "detail": text("What is wrong, and the way out."),
}

SCHEMAS: Final[dict[str, Schema]] = {
    "Event": entry(
        "id type subject", id=_ID, source=nullable(_SOURCE), type=_TYPE, subject=_SUBJECT, time=nullable(_TIME),
        data=_DATA,
    ),
    "CloudEvent": entry(
        "specversion id source type subject", specversion={"const": "1.0"}, id=_ID, source=_SOURCE, type=_TYPE,
        subject=_SUBJECT, time=nullable(_TIME), data=nullable(_DATA),
    ),
    "LagoEvent": entry(
        " ".join(lago.NAMES.values()),
        **{lago.NAMES["id"]: _ID, lago.NAMES["subject"]: _SUBJECT, lago.NAMES["type"]: _TYPE},
        timestamp={"anyOf": [{"type": "number"}, text(), {"type": "null"}]},
        properties=nullable(_DATA),
        **{lago.AMOUNT: nullable(text())},
    ),
    "LagoEcho": entry(
        " ".join((*lago.NAMES.values(), "timestamp", "created_at")),
        **{name: text() for name in (*lago.NAMES.values(), "timestamp", "created_at")},
        **{name: {"type": "null"} for name in ("lago_id", "lago_customer_id", "lago_subscription_id")},
        properties=_DATA,
        **{lago.AMOUNT: nullable(text())},
    ),
    "EventProblem": entry(
        "index id code message",
        index=_COUNT | {"description": "Place in the request, or number of the line, from 0."},
        id=nullable(text()),
        code=text("What is wrong, for programs."),
        message=text("What is wrong, for people."),
    ),
    "Report": entry("accepted duplicates conflicts rejected", **_REPORT),
    "StreamReport": entry(
        "accepted duplicates conflicts rejected conflict_count rejected_count",
        **_REPORT,
        conflict_count=_COUNT,
        rejected_count=_COUNT,
        problems_id=text(f"The file of all problems; the lists name the first {MOST_PROBLEMS:,}.", format="uuid"),
        problems_url=text("Where that file is."),
    ),
    "Problem": entry("type title status code detail", **_PROBLEM),
    "ReportedProblem": entry("type title status code detail", **_PROBLEM, **_REPORT),
    "LagoProblem": entry(
        "type title status code detail error error_details",
        **_PROBLEM, **_REPORT,
        error=text(),
        error_details={"type": "object", "description": "Codes by field; in a batch by place, then by field."},
    ),
    "Usage": entry(
        "customer meter aggregation unit start end timezone window group_by rows",
        customer=text(), meter=text(), aggregation={"enum": list(Meter.Aggregation.values)}, unit=text(),
        start=_INSTANT, end=_INSTANT, timezone=text(), window=nullable(text()), group_by=listed(text()),
        rows=listed(ref("UsageRow")),
    ),
    "UsageRow": entry(
        "start end dimensions quantity events invalid",
        start=_INSTANT, end=_INSTANT,
        dimensions={"type": "object", "additionalProperties": nullable(text())},
        quantity=_DECIMAL, events=_COUNT,
        invalid=_COUNT | {"description": "Events from which the meter could read no value."},
    ),
    "Fate": entry(
        "source id type subject time data state note recorded_at batch origin api_key voided conflicts customer meters",
        source=text(), id=text(), type=text(), subject=text(), time=_INSTANT,
        data=nullable(_DATA),
        state={"enum": ["stored", "voided", "archived"]},
        note=text("What the state means."),
        recorded_at=nullable(_INSTANT), batch=nullable(_COUNT), origin=nullable(text()), api_key=nullable(text()),
        voided=nullable(entry("at kind reason", at=_INSTANT, kind=text(), reason=text())),
        conflicts=_COUNT | {"description": "Contents that came later under the same id, and were not stored."},
        customer=nullable(ref("Claim")),
        meters=listed(ref("Metered")),
    ),
    "Claim": entry(
        "external_id name claimed_from claimed_until", external_id=text(), name=text(),
        claimed_from=nullable(_INSTANT), claimed_until=nullable(_INSTANT),
    ),
    "Metered": entry(
        "meter name counts value reason", meter=text(), name=text(), counts={"type": "boolean"},
        value=nullable(text()), reason=nullable(text()),
    ),
    "Correction": entry(
        "kind reason", kind={"enum": ["void", "replace", "undo", "revert"]}, reason=text("Why.", minLength=1),
        criteria=ref("Criteria"), changes=ref("Changes"), dry_run={"type": "boolean"},
        correction=_NUMBER | {"description": "To undo: its number."},
        backfill=_NUMBER | {"description": "To revert: its number."},
        expected=_NUMBER | {"description": "Events that a dry run found; others are not corrected."},
    ),
    "Criteria": entry(
        "",
        ids=listed(text(minLength=1), maxItems=MAX_IDS), source=text("Of the ids."), subject=text(), type=text(),
        start=_INSTANT, end=_INSTANT, filters={"type": "object", "description": "As a meter has them."},
        backfill=_NUMBER,
    ) | {"description": "All that is named must be met; ids with their source, a period or a backfill must be named."},
    "Changes": entry("", subject=text(), type=text(), time=_INSTANT, data={"type": "object"}),
    "CorrectionMade": entry("id kind events", id=_NUMBER, kind=text(), events=_COUNT),
    "CorrectionPreview": entry(
        "events first last types subjects subject_count customer_count effects",
        events=_COUNT, first=_INSTANT, last=_INSTANT, types=listed(text()), subjects=listed(text()),
        subject_count=_COUNT, customer_count=_COUNT, effects=listed(ref("Effect")),
    ),
    "Effect": entry(
        "customer meter month before after",
        customer=text(), meter=text(), month=text(), before=_DECIMAL, after=_DECIMAL,
    ),
    "Backfill": entry("name reason", name=text(minLength=1), reason=text("Why.", minLength=1)),
    "BackfillMade": entry("id name", id=_NUMBER, name=text()),
    "Health": entry("status", status=text(), database=text()),
}  # fmt: skip
