"""Questions about uploads and pull sources, and what new rows would mean for bills."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from billing.metering import counting
from billing.metering.csv_import import Outcome
from billing.metering.meters.fragments import Fragment
from billing.metering.models import Meter
from billing.metering.sources.models import PullRun, PullSource, Upload
from billing.metering.sources.states import UploadState
from customers.models import Customer

FAILING_AFTER = 3
"""Failed runs in a row from which on a source is called failing."""
ADDING = (Meter.Aggregation.COUNT, Meter.Aggregation.SUM)


@dataclass
class Effects:
    """What new rows would add, by meter and customer (None: nobody claims the subject), gathered batch by batch.

    `quantities` holds what counts and sums would grow by; of other meters only the events are counted.
    """

    quantities: dict[tuple[int, int | None], Decimal] = field(default_factory=dict)
    events: Counter[tuple[int, int | None]] = field(default_factory=Counter)
    invalid: Counter[tuple[int, int | None]] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        """Read the batch as it stands in the current transaction: one statement per meter that counts its types."""
        if outcome.batch is None:
            return
        for meter in Meter.objects.filter(superseded_at=None, event_type__in=outcome.types):
            for customer, value, events, invalid in _effect(meter, outcome):
                key = meter.pk, customer
                self.quantities[key] = self.quantities.get(key, Decimal(0)) + value
                self.events[key] += events
                self.invalid[key] += invalid

    def as_json(self, limit: int = 200) -> list[dict[str, Any]]:
        """For people: the largest first, at most `limit`, with the names of meter and customer."""
        customers = Customer.objects.in_bulk([pk for _, pk in self.events if pk])
        meters = Meter.objects.in_bulk({meter for meter, _ in self.events})
        rows = [
            {
                "meter": meters[meter].name,
                "unit": meters[meter].unit,
                "customer": str(customers[pk]) if pk else "",
                "customer_id": pk,
                "quantity": str(self.quantities[meter, pk]) if meters[meter].aggregation in ADDING else "",
                "events": events,
                "invalid": self.invalid[meter, pk],
            }
            for (meter, pk), events in self.events.most_common(limit)
        ]
        return sorted(rows, key=lambda row: (row["meter"], row["customer"] == "", row["customer"]))


def _effect(meter: Meter, outcome: Outcome) -> list[tuple[int | None, Decimal, int, int]]:
    """Customer, sum or count, events and invalid events of one batch for one meter."""
    batch = Fragment(
        """metering_event e
           JOIN metering_type t ON t.id = e.type_id AND t.name = %s AND e.batch = %s AND e.ts BETWEEN %s AND %s
           JOIN metering_subject s ON s.id = e.subject_id
           LEFT JOIN customers_usagesubject u ON u.subject = s.name
                AND (u.valid_from IS NULL OR u.valid_from <= e.ts) AND (u.valid_to IS NULL OR e.ts < u.valid_to)""",
        (meter.event_type, outcome.batch, outcome.start, outcome.end),
    )
    found = counting.events(meter, counting.Source(batch, "true", "u.customer_id"))
    value = "coalesce(sum(value) FILTER (WHERE valid), 0)" if meter.aggregation == Meter.Aggregation.SUM else "count(*)"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT key, {value}, count(*) FILTER (WHERE valid), count(*) FILTER (WHERE NOT valid)
                FROM ({found.sql}) x GROUP BY key""",
            found.values,
        )
        rows: list[tuple[int | None, Decimal, int, int]] = cursor.fetchall()
    return rows


def path_of(upload: Upload) -> Path:
    """Where the uploaded file lies."""
    return settings.UPLOAD_ROOT / f"{upload.pk}{Path(upload.name).suffix.lower()}"


def errors_of(record: Upload | PullRun) -> Path:
    """Where the rows that did not count are written."""
    kind = "upload" if isinstance(record, Upload) else "pull"
    return settings.UPLOAD_ROOT / f"{kind}-{record.pk}.errors.csv"


def same_file(upload: Upload) -> Upload | None:
    """The last import of the very same file, if there is one."""
    return (
        Upload.objects.filter(sha256=upload.sha256, state=UploadState.DONE, pk__lt=upload.pk)
        .exclude(pk=upload.pk)
        .first()
    )


def earlier_mapping(upload: Upload) -> dict[str, Any] | None:
    """How a file with the same columns was read before, the last time; None when none was."""
    same = Upload.objects.filter(header=upload.header).exclude(pk=upload.pk).exclude(mapping={})
    return same.order_by("-pk").values_list("mapping", flat=True).first()


def with_running(sources: QuerySet[PullSource]) -> QuerySet[PullSource]:
    """Sources, each with whether a run of it has begun and not ended."""
    return sources.annotate(running=Exists(PullRun.objects.filter(source=OuterRef("pk"), finished_at=None)))


def state_of(source: Any) -> str:
    """In one word how a source (of `with_running`) stands; the most urgent first."""
    if source.paused:
        return "Paused"
    if source.failures >= FAILING_AFTER:
        return "Failing"
    if source.silent_since:
        return "Silent"
    if not source.mapping:
        return "Needs its columns"
    if source.running:
        return "Running"
    return "Failed" if source.failures else "Waiting" if source.last_run_at else "New"


def troubles() -> tuple[int, int, int]:
    """How many sources there are, how many fail again and again, and how many of the others are silent. One query."""
    failing, silent = Q(failures__gte=FAILING_AFTER, paused=False), Q(silent_since__isnull=False, paused=False)
    counts = PullSource.objects.aggregate(
        total=Count("pk"), failing=Count("pk", failing), silent=Count("pk", silent & ~failing)
    )
    return counts["total"], counts["failing"], counts["silent"]


def next_run(source: PullSource, now: datetime) -> datetime:
    """The first time behind `now` that lies whole intervals behind the one that is set."""
    interval = timedelta(**{source.unit: source.every})
    missed = max(0, (now - source.next_due_at) // interval + 1)
    return source.next_due_at + missed * interval
