"""`GET /api/v1/usage`: what a customer used of a meter, by windows of time and by properties, exactly."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, cast, get_args

import msgspec
from django.http import HttpRequest, HttpResponse, QueryDict

from billing.metering import queries
from billing.metering.api.edge import asked, reader, reading
from billing.metering.errors import Refusal
from billing.metering.models import Meter
from billing.metering.properties import path_problem
from billing.metering.queries import UsageRow
from billing.metering.validate import instant
from billing.metering.windows import TooManyWindows, Window, split
from billing.money import plain
from billing.periods import Period, UnknownTimezone, local_midnight, zone
from customers.models import Customer

PARAMETERS: Final = ("customer", "meter", "start", "end", "window", "group_by", "timezone")
WINDOWS: Final[tuple[str, ...]] = get_args(Window)
MOST_DIMENSIONS: Final = 5
MOST_ROWS: Final = 100_000
"""Rows of an answer; whoever needs more asks for shorter periods."""

YEARS: Final = (1969, 2200)
"""Years in which a period may begin and end; no usage lies outside them, 1969 being 1970 in some zones."""

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked, as the database and the calendar understand it."""

    customer: Customer
    meter: Meter
    period: Period
    window: Window | None
    dimensions: tuple[str, ...]
    timezone: str


@reading
def usage(request: HttpRequest) -> HttpResponse:
    """The quantity of a meter for a customer in a period; 400 and 404 name the parameter that is wrong.

    Without `window` and `group_by` there is one row. With them, rows without events are left out.
    """
    reader(request)
    question = _question(request.GET)
    try:
        rows = queries.quantities(
            customer_ids=[question.customer.pk],
            meters=[question.meter],
            period=question.period,
            dimensions=question.dimensions,
            window=question.window,
            timezone=question.timezone,
        )
    except TooManyWindows as error:
        raise Refusal(400, "too_many_windows", str(error)) from None
    if len(rows) > MOST_ROWS:
        detail = f"The answer has {len(rows):,} rows; at most {MOST_ROWS:,} are sent. Ask for a shorter period."
        raise Refusal(400, "too_many_rows", detail)
    return HttpResponse(msgspec.json.encode(_answer(question, rows)), content_type="application/json")


def _question(given: QueryDict) -> _Question:
    """The parameters, read; Refusal for the first that is wrong."""
    asked(given, PARAMETERS, needed=("customer", "meter", "start", "end"), many=("group_by",))
    customer = Customer.objects.filter(external_id=given["customer"]).first()
    if customer is None:
        raise Refusal(404, "unknown_customer", f"There is no customer with the external id {given['customer']!r}.")
    meter = Meter.objects.filter(code=given["meter"]).first()
    if meter is None:
        raise Refusal(404, "unknown_meter", f"There is no meter with the code {given['meter']!r}.")
    timezone = given.get("timezone") or customer.timezone
    try:
        zone(timezone)
    except UnknownTimezone as error:
        raise Refusal(400, "unknown_timezone", str(error)) from None
    window = given.get("window") or None
    if window not in (None, *WINDOWS):
        raise Refusal(400, "invalid_window", f"{window!r} is no window; write one of {', '.join(WINDOWS)}.")
    start, end = (_bound(name, given.get(name, ""), timezone) for name in ("start", "end"))
    if end <= start:
        raise Refusal(400, "invalid_period", "The end lies at or before the start; the end is exclusive.")
    dimensions = _dimensions(given.getlist("group_by"))
    return _Question(customer, meter, Period(start, end), cast(Window | None, window), dimensions, timezone)


def _bound(name: str, text: str, timezone: str) -> datetime:
    """A local date's midnight, or an instant; Refusal for anything else."""
    at: datetime | tuple[str, str]
    try:
        if _DATE.fullmatch(text):
            at = local_midnight(date.fromisoformat(text), timezone)
        else:
            at = instant(re.sub(r" (?=[0-9]{2}:[0-9]{2}$)", "+", text))  # a plus sign in an address means a space
    except (ValueError, OverflowError):
        at = "", f"{text!r} is no day that exists."
    if not isinstance(at, tuple) and not YEARS[0] <= at.year <= YEARS[1]:
        at = "", f"The year {at.year} lies outside {YEARS[0]} to {YEARS[1]}."
    if isinstance(at, tuple):
        detail = f"The {name} cannot be read: {at[1]} Or write a date, such as 2026-03-01, in the zone {timezone}."
        raise Refusal(400, f"invalid_{name}", detail)
    return at


def _dimensions(given: Sequence[str]) -> tuple[str, ...]:
    """The properties to group by, from any number of parameters, each with names divided by commas."""
    paths = [path.strip() for text in given for path in text.split(",") if path.strip()]
    if len(paths) > MOST_DIMENSIONS:
        raise Refusal(
            400, "too_many_dimensions", f"Group by at most {MOST_DIMENSIONS} properties; {len(paths)} are named."
        )
    for path in paths:
        if found := path_problem(path):
            raise Refusal(400, "invalid_group_by", found)
    return tuple(dict.fromkeys(paths))


def _answer(question: _Question, rows: Sequence[UsageRow]) -> dict[str, Any]:
    """The answer's members; quantities are decimal texts."""
    whole, single = question.period, question.window is None and not question.dimensions
    ends = (
        {piece.start: piece.until for piece in split(whole, question.window, question.timezone)}
        if question.window
        else {}
    )
    found = [
        {
            "start": _text(row.start or whole.start),
            "end": _text(ends[row.start] if row.start else whole.until),
            "dimensions": dict(zip(question.dimensions, row.dimensions, strict=True)),
            "quantity": plain(row.quantity.value),
            "events": row.quantity.events,
            "invalid": row.quantity.invalid,
        }
        for row in rows
    ]
    nothing = {"start": _text(whole.start), "end": _text(whole.until), "dimensions": {}, "quantity": "0", "events": 0,
               "invalid": 0}  # fmt: skip
    return {
        "customer": question.customer.external_id,
        "meter": question.meter.code,
        "aggregation": question.meter.aggregation,
        "unit": question.meter.unit,
        "start": _text(whole.start),
        "end": _text(whole.until),
        "timezone": question.timezone,
        "window": question.window,
        "group_by": question.dimensions,
        "rows": found or ([nothing] if single else []),
    }


def _text(at: datetime) -> str:
    """An instant as the API writes it."""
    return at.isoformat().replace("+00:00", "Z")
