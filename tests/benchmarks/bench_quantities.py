"""How long questions about usage take, beside a bare recount of the same events, in one run.

    METERBOOK_DATA=/tmp/book METERBOOK_POSTGRES=shared_buffers=2GB,max_wal_size=8GB \
        .venv/bin/python -m tests.benchmarks.bench_quantities [--rounds 200]

It asks the book that `manage.py seed_scale` made in that database, and writes nothing. Each question is about the month
of the events, in UTC and in Kathmandu (+05:45): of the largest customer, of random ones, and of chunks of 500.
"""

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable
from datetime import timedelta

import django

PERCENTILE = 95


def main() -> None:
    """Ask, and print percentiles."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.db import connection

    from billing.metering.models import Event, Meter
    from billing.periods import Period, local_date, local_midnight
    from customers.models import Customer

    with connection.cursor() as cursor:
        cursor.execute("SELECT max(ts) FROM metering_event")
        (last,) = cursor.fetchone()
        cursor.execute("SELECT sum(n), count(*) FROM metering_activity")
        print("events rolled up: {:,}; days of subjects and types: {:,}".format(*cursor.fetchone()))
        cursor.execute("SELECT count(*) FROM metering_pending")
        print("batches pending: {:,}".format(*cursor.fetchone()))
    ids = list(Customer.objects.order_by("external_id").values_list("id", flat=True))
    dice = random.Random(1)
    for code in Meter.objects.order_by("code").values_list("code", flat=True):
        meter = Meter.objects.get(code=code)
        for zone in ("UTC", "Asia/Kathmandu"):
            first = local_date(last, zone).replace(day=1)
            after = (first + timedelta(days=32)).replace(day=1)
            month = Period(local_midnight(first, zone), local_midnight(after, zone))
            report(f"{code}, {zone}, largest customer", options.rounds, lambda m=meter, p=month: ask([ids[0]], m, p))
            report(f"{code}, {zone}, a random customer", options.rounds,
                   lambda m=meter, p=month: ask([dice.choice(ids)], m, p))  # fmt: skip
            report(f"{code}, {zone}, 500 customers", max(5, options.rounds // 10),
                   lambda m=meter, p=month: ask(dice.sample(ids, 500), m, p))  # fmt: skip
    biggest = Event.objects.filter(subject__name="scale-000000", type__name="inference")
    began = time.perf_counter()
    count = len(list(biggest.values_list("data__input_tokens", flat=True)))
    print(f"bare reference: reading the largest customer's {count:,} events of one type:"
          f" {1000 * (time.perf_counter() - began):.1f} ms")  # fmt: skip


def ask(customer_ids: list[int], meter: object, period: object) -> None:
    """One question, as pages and runs ask it."""
    from billing.metering.queries import quantities

    rows = quantities(customer_ids=customer_ids, meters=[meter], period=period)  # type: ignore[list-item,arg-type]
    if not rows and len(customer_ids) > 1:
        raise SystemExit("no usage was found: run manage.py seed_scale first")


def report(name: str, rounds: int, work: Callable[[], None]) -> None:
    """Median and 95th percentile of a piece of work, in milliseconds, after three rounds that warm up."""
    times = []
    for turn in range(rounds + 3):
        began = time.perf_counter()
        work()
        if turn >= 3:
            times.append(1000 * (time.perf_counter() - began))
    high = statistics.quantiles(times, n=100)[PERCENTILE - 1]
    print(f"{name:<52} median {statistics.median(times):7.1f} ms, p95 {high:7.1f} ms", flush=True)


if __name__ == "__main__":
    main()
