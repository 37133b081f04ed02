"""How long the price lab takes for a whole book, beside a bare SQL aggregation of the same raw events, in one run.

    METERBOOK_DATA=/tmp/book METERBOOK_POSTGRES=shared_buffers=2GB,max_wal_size=8GB \
        .venv/bin/python -m tests.benchmarks.bench_lab [--candidates 1]

It asks the book that `manage.py seed_scale` made in that database (10,000 customers, 10 million events, 5 charges),
and writes to the lab's own tables alone. The candidates are copies of the seeded plan with other prices. The bare
statements count, for each meter of the plan, the month's events by subject as the meter does, straight from the table.
"""

import argparse
import os
import resource
import time
from datetime import UTC, datetime
from typing import Any

import django

BARE = {
    "tokens": """SELECT subject_id, data->>'model',
        sum((data->>'input_tokens')::numeric + 4 * (data->>'output_tokens')::numeric)
        FROM metering_event WHERE type_id = %s AND ts >= %s AND ts < %s GROUP BY 1, 2""",
    "embeddings": """SELECT subject_id, count(*)
        FROM metering_event WHERE type_id = %s AND ts >= %s AND ts < %s GROUP BY 1""",
    "largest-search": """SELECT subject_id, max((data->>'input_tokens')::numeric)
        FROM metering_event WHERE type_id = %s AND ts >= %s AND ts < %s GROUP BY 1""",
    "stored": """SELECT DISTINCT ON (subject_id) subject_id, (data->>'input_tokens')::numeric
        FROM metering_event WHERE type_id = %s AND ts >= %s AND ts < %s
        ORDER BY subject_id, ts DESC, batch DESC, n DESC""",
}


def main() -> None:
    """Count barely, run a trial, and print both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--candidates", type=int, default=1)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from billing.catalog.models import PlanVersion
    from billing.catalog.scale import month_of_usage

    version = PlanVersion.objects.select_related("plan").get(plan__code="scale", number=1)
    month = month_of_usage(datetime.now(tz=UTC))
    bare = counted(month)
    before = megabytes()
    began = time.perf_counter()
    run = tried(version, month, options.candidates)
    took = time.perf_counter() - began
    result = run.result
    if run.state != "done" or result["problems"]:
        raise SystemExit(f"the run is {run.state}: {run.message}; {result and result['problems']} problems")
    print(f"bare SQL aggregation of the raw events: {bare:.1f} s")
    print(f"price lab, {result['compared']:,} customers, {options.candidates} candidate(s): {took:.1f} s, "
          f"{took / bare:.2f} times the bare aggregation")  # fmt: skip
    print(f"memory of the process: {megabytes():,} MB at most ({before:,} MB before the lab)")
    for number, each in enumerate(result["candidates"], 1):
        print(f"candidate {number}: {each['totals']}")


def counted(month: Any) -> float:
    """Seconds that the bare statements take together."""
    from django.db import connection

    from billing.lab.comparing import month_after
    from billing.metering.models import Meter

    began = time.perf_counter()
    for code, statement in BARE.items():
        meter = Meter.objects.get(code=code, superseded_at=None)
        start, end = (datetime(day.year, day.month, 1, tzinfo=UTC) for day in (month, month_after(month)))
        one = time.perf_counter()
        with connection.cursor() as cursor:
            cursor.execute("SELECT id FROM metering_type WHERE name = %s", [meter.event_type])
            (type_id,) = cursor.fetchone()
            cursor.execute(f"SELECT count(*) FROM ({statement}) counted", [type_id, start, end])
            (rows,) = cursor.fetchone()
        print(f"  {code}: {rows:,} rows in {time.perf_counter() - one:.1f} s", flush=True)
    return time.perf_counter() - began


def tried(version: Any, month: Any, candidates: int) -> Any:
    """The finished run of a trial with so many candidates, each dearer by ten percent than the one before."""
    from billing.catalog.plan_files import plan_to_json, read_plan
    from billing.lab.running import run_trial
    from billing.lab.services import Given, create_trial, request_run
    from config import clock

    given = []
    for number in range(1, candidates + 1):
        content = plan_to_json(version)
        for charge in content["charges"]:
            for price in charge["prices"]:
                price["discounts"] = [{"percentage": str(number)}]
        given.append(Given(version, edited=read_plan(content)))
    trial = create_trial(
        name="Benchmark", first_month=month, last_month=month, candidates=given, user=None, now=clock.now()
    )
    run = request_run(trial=trial, user=None, queue=lambda pk: None, now=clock.now())
    run_trial(run_id=run.pk, clock=clock.now, time_is_up=lambda: False)
    run.refresh_from_db()
    return run


def megabytes() -> int:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
