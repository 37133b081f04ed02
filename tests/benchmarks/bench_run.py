"""How many drafts a billing run makes a second, and what a run costs that has nothing to do, beside bare references.

    METERBOOK_DATA=/tmp/book METERBOOK_POSTGRES=shared_buffers=2GB,max_wal_size=8GB \
        .venv/bin/python -m tests.benchmarks.bench_run [--workers 2] [--as-of 2026-12-01]

It bills the book that `manage.py seed_scale` made in that database, as of the first day after its month, and takes the
drafts away again at the end. The references are measured in the same run: copying the rows of the lines that were
drafted into a bare table, and summing the month's days of usage in SQL. Times of work (CPU) are those of the workers;
on a machine that others use they tell more than the clock.
"""

import argparse
import os
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, date, datetime, timedelta
from multiprocessing import get_context
from typing import Any

import django


def main() -> None:
    """Run, run again, and print both beside the references."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--as-of", type=date.fromisoformat)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from billing.catalog.scale import month_of_usage
    from billing.invoicing.models import Invoice, InvoiceLine

    if Invoice.objects.exists():
        raise SystemExit("This book has invoices: the benchmark wants one that was never billed.")
    month = month_of_usage(datetime.now(tz=UTC))
    as_of = options.as_of or (month + timedelta(days=31)).replace(day=1)
    try:
        first = measured(as_of, options.workers)
        drafts, lines = Invoice.objects.count(), InvoiceLine.objects.count()
        print(f"first run, {options.workers} workers: {drafts:,} drafts of {lines:,} lines in {first['took']:.1f} s: "
              f"{drafts / first['took']:,.0f} a second; CPU of the workers {first['cpu']:.1f} s, "
              f"{first['queries']} queries in a chunk; at most {first['megabytes']:,} MB a worker")  # fmt: skip
        second = measured(as_of, options.workers)
        print(f"second run: {second['took']:.2f} s, {second['took'] / first['took']:.1%} of the first; "
              f"{second['left_out']:,} contracts left out, {second['computed']:,} computed")  # fmt: skip
        print(f"bare: the same lines copied into a table without keys: {copied():.1f} s; "
              f"the month's days of usage summed: {summed(month):.1f} s")  # fmt: skip
    finally:
        cleared()


def measured(as_of: date, workers: int) -> dict[str, Any]:
    """A run by so many processes: its time, their CPU, the largest of them."""
    from django.db import connection

    from billing.invoicing.services import request_run

    began = time.perf_counter()
    run = request_run(as_of=as_of, now=datetime.now(tz=UTC))
    connection.close()  # each process opens its own
    with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
        found = list(pool.map(worked, [run.pk] * workers))
    took = time.perf_counter() - began
    run.refresh_from_db()
    if run.state != "done":
        raise SystemExit(f"The run ended as {run.state}.")
    return {
        "took": took, "cpu": sum(cpu for cpu, _, _ in found), "megabytes": max(size for _, size, _ in found),
        "queries": " to ".join(map(str, sorted({count for *_, counts in found for count in counts}))) or "no",
        "left_out": run.left_out, "computed": run.contracts,
    }  # fmt: skip


def worked(run_id: int) -> tuple[float, int, list[int]]:
    """Work on a run; seconds of CPU, megabytes at most, and the least and the most queries of a chunk."""
    from django.db import connection

    from billing.invoicing.runs.chunks import bill_chunk, taken
    from billing.invoicing.runs.models import BillingRun
    from billing.invoicing.runs.working import finish
    from config import clock

    BillingRun.objects.filter(pk=run_id, state="queued").update(state="running")
    counts: list[int] = []
    before = time.process_time()
    while True:
        asked = Counter()
        with taken(run_id) as chunk:
            if chunk is None:
                break
            with connection.execute_wrapper(asked):
                bill_chunk(chunk, clock.now)
        counts.append(asked.count)
    finish(run_id, clock.now())
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return time.process_time() - before, size, [min(counts), max(counts)] if counts else []


class Counter:
    """Counts statements."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, execute: Any, *arguments: Any) -> Any:
        self.count += 1
        return execute(*arguments)


def copied() -> float:
    """Seconds to copy the rows of all lines into a bare table."""
    return timed("CREATE TEMP TABLE bare AS SELECT * FROM billing_invoiceline")


def summed(month: date) -> float:
    """Seconds to sum the month's days of usage by meter and subject."""
    until = (month + timedelta(days=31)).replace(day=1)
    return timed(
        "SELECT count(*) FROM (SELECT rollup, subject_id, sum(total) FROM metering_day"
        " WHERE bucket >= %s AND bucket < %s GROUP BY 1, 2) s", month, until,
    )  # fmt: skip


def timed(statement: str, *values: object) -> float:
    """Seconds that a statement takes."""
    from django.db import connection

    began = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None)
    return time.perf_counter() - began


def cleared() -> None:
    """Take away what the benchmark made: drafts, runs and marks."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE billing_runoutcome, billing_runchunk, billing_mark, billing_coverage, billing_invoiceline,"
            " billing_invoice, billing_slot, billing_stream, billing_billingrun CASCADE"
        )


if __name__ == "__main__":
    main()
