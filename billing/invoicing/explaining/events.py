"""The events behind a line of usage: how many, the latest of them, and all of them as a file."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from itertools import chain, islice
from typing import Final

from django.http import StreamingHttpResponse
from django.utils.text import get_valid_filename

from billing.invoicing.behind.queries import Behind, Stretch, stretches
from billing.invoicing.behind.terms import KnownTerms
from billing.invoicing.explaining.values import Explanation
from billing.invoicing.models import InvoiceLine
from billing.metering.asking import CountedEvent, Request
from billing.metering.explorer.csv_file import safe
from billing.metering.filters import read_filters
from billing.metering.interface import events
from billing.metering.models import Meter
from billing.metering.months.errors import MonthDetached
from billing.periods import zone

SAMPLE: Final = 10
ROWS: Final = 2000
"""Rows that a piece of the file has."""
WHOSE: Final = ("source", "subject")
"""Columns of the seller's own file: what its systems call things."""


def counted_for(usage: Iterable[Behind], known: Mapping[int, KnownTerms]) -> dict[int, int]:
    """How many events were read for each line's quantity, by its id.

    Meters that carry their value on read what came before too, and are asked once each.
    """
    found = {}
    for behind in usage:
        line = behind.line
        found[line.pk] = sum(row.events for row in behind.rows)
        if behind.meter.recurring:
            asked = [_asked(stretch, known[line.pk]) for stretch in stretches(line, known.get(line.pk))]
            with suppress(MonthDetached):  # then those of the period alone can be told
                found[line.pk] = sum(events.quantities(meter, [request])[0].events for meter, request in asked)
    return found


def sample_of(explanation: Explanation, limit: int = SAMPLE) -> list[CountedEvent]:
    """The latest events that the line counts, newest first; none that lie in the archive."""
    if explanation.usage is None:
        return []
    found: list[CountedEvent] = []
    with suppress(MonthDetached):
        for meter, request in reversed(_requests(explanation)):
            found += events.newest(meter, request, explanation.usage.dimensions, limit=limit - len(found))
            if len(found) == limit:
                break
    return found


def events_csv(explanation: Explanation, *, internal: bool) -> Iterator[str]:
    """A row for each event that the line counts, in order of time, in pieces; times in the contract's zone.

    `internal` adds what the seller's systems call things. MonthDetached, at the first piece where it can be, when a
    month lies in the archive.
    """
    dimensions = explanation.usage.dimensions if explanation.usage else ()
    yield _text([["time", "id", *(WHOSE if internal else ()), *(safe(name) for name in dimensions), "quantity"]])
    for meter, request in _requests(explanation):
        found = events.in_order(meter, request, dimensions)
        while piece := list(islice(found, ROWS)):
            yield _text([_row(each, request.timezone, internal) for each in piece])


def events_file(explanation: Explanation, *, internal: bool) -> StreamingHttpResponse:
    """The file as a download: `events-INV-000001-3.csv`. MonthDetached as long as the answer can still say so."""
    line = explanation.line
    pieces = events_csv(explanation, internal=internal)
    begun = list(islice(pieces, 2))
    invoice = get_valid_filename(line.invoice.number or f"draft-{line.invoice_id}")
    disposition = {"Content-Disposition": f'attachment; filename="events-{invoice}-{line.position}.csv"'}
    return StreamingHttpResponse(chain(begun, pieces), content_type="text/csv; charset=utf-8", headers=disposition)


def _requests(explanation: Explanation) -> list[tuple[Meter, Request]]:
    """What is asked for the events of a line: each stretch of it under one charge."""
    known = explanation.known
    if known is None or explanation.line.kind != InvoiceLine.Kind.USAGE:
        return []
    return [_asked(stretch, known) for stretch in stretches(explanation.line, known)]


def _asked(stretch: Stretch, known: KnownTerms) -> tuple[Meter, Request]:
    """The stretch's meter over what passes its narrowing, as far as was known."""
    meter_id = stretch.charge.meter_id
    assert meter_id is not None  # a stretch has a meter
    meter = Meter.objects.get(pk=meter_id)
    if narrowed := stretch.charge.narrowed_by:
        meter = meter.narrowed(read_filters(json.loads(narrowed, parse_float=Decimal), "narrowed_by"))
    if known.usage is not None:
        meter = meter.as_known(known.usage)
    return meter, Request(0, stretch.claims, stretch.period, timezone=stretch.timezone)


def _row(event: CountedEvent, timezone: str, internal: bool) -> list[str]:
    whose = [safe(event.source), safe(event.subject)] if internal else []
    time = event.time.astimezone(zone(timezone)).isoformat()
    return [time, safe(event.id), *whose, *(safe(each or "") for each in event.values), counted_text(event)]


def counted_text(event: CountedEvent) -> str:
    """What the meter read from an event, exactly: “1” where it counts the event itself."""
    if event.value is None:
        return "1"
    return f"{event.value:f}" if isinstance(event.value, Decimal) else safe(event.value)


def _text(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
