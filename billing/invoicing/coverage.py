"""Coverage rows: written when a fee's line is approved, split when a part is credited, cleared on the way back."""

from collections.abc import Sequence

from django.db.models import Exists, OuterRef

from billing.invoicing.models import Coverage, InvoiceLine
from billing.periods import Period


def record(lines: Sequence[InvoiceLine]) -> None:
    """Cover what the lines charge; mark as credited, by splitting its coverage, what they take back.

    Credits go first: what they free may be charged anew by the same invoice. Constant queries.
    """
    _credit([line for line in lines if line.corrects_id is not None])
    Coverage.objects.bulk_create(
        [Coverage(stream_id=line.stream_id, line=line, start=line.service_start, end=line.service_end)
         for line in lines if line.corrects_id is None]
    )  # fmt: skip


def clear(lines: Sequence[InvoiceLine]) -> None:
    """Undo `record`: what the lines charged is uncovered, what they took back is covered again."""
    Coverage.objects.filter(line__in=lines).delete()
    Coverage.objects.filter(credited_by__in=lines).update(credited_by=None)


def covered_anew(lines: Sequence[InvoiceLine]) -> bool:
    """Whether another line charges again what these took back, so that it could not be covered twice."""
    again = Coverage.objects.filter(
        stream=OuterRef("stream"), start__lt=OuterRef("end"), end__gt=OuterRef("start"), credited_by=None
    ).exclude(line__in=lines)
    return Coverage.objects.filter(Exists(again), credited_by__in=lines).exists()


def _credit(credits: Sequence[InvoiceLine]) -> None:
    live = Coverage.objects.filter(line__in=[line.corrects_id for line in credits], credited_by=None)
    rows = list(live.select_for_update().order_by("id"))
    gone = []
    for line in credits:
        for row in [each for each in rows if each.line_id == line.corrects_id and each.credited_by_id is None]:
            common = _period(row).intersect(Period(line.service_start, line.service_end))
            if common is None:
                continue
            rows.remove(row)
            gone.append(row.pk)
            rows += [_piece(row, rest) for rest in _period(row).subtract([common])]
            rows.append(_piece(row, common, credited_by=line))
    Coverage.objects.filter(pk__in=[pk for pk in gone if pk]).delete()
    Coverage.objects.bulk_create([row for row in rows if row.pk is None])


def _period(row: Coverage) -> Period:
    return Period(row.start, row.end)


def _piece(row: Coverage, period: Period, credited_by: InvoiceLine | None = None) -> Coverage:
    return Coverage(
        stream_id=row.stream_id, line_id=row.line_id, start=period.start, end=period.until, credited_by=credited_by
    )
