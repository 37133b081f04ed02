"""Quantities of 500 customers and a month from a small book and from a large one, in turns, in one run.

    METERBOOK_DATA=SMALL .venv/bin/python manage.py seed_scale --events 1000000
    METERBOOK_DATA=LARGE .venv/bin/python manage.py seed_scale
    .venv/bin/python -m tests.benchmarks.bench_growth SMALL LARGE [--rounds 16]

A process for each book answers the same questions, one after the other: every meter, the last month in UTC and in
Kathmandu (+05:45), other customers each time. The first rounds only fill PostgreSQL's memory. Printed beside the times
is how many customers had usage: in a small book that is not everybody.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from typing import Any

CHUNK, EACH, WARMING = 500, 6, 5
ZONES = ("UTC", "Asia/Kathmandu")


def main() -> None:
    """Let both books answer in turns, and print medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "books", nargs="+", metavar="DIRECTORY", help="METERBOOK_DATA of the small and of the large one"
    )
    parser.add_argument("--rounds", type=int, default=16)
    options = parser.parse_args()
    if len(options.books) == 1:
        answer()
        return
    command = [sys.executable, "-m", "tests.benchmarks.bench_growth"]
    asked = [
        subprocess.Popen(
            [*command, book], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"METERBOOK_DATA": book},
        )
        for book in options.books
    ]  # fmt: skip
    times: list[dict[str, list[list[float]]]] = [defaultdict(list) for _ in asked]
    for turn in range(WARMING + options.rounds):
        for place, process in enumerate(asked):
            found = _turn(process)
            for question, each in found.items() if turn >= WARMING else ():
                times[place][question] += each
    for question, small in times[0].items():
        (one, had), (ten, have) = (map(statistics.median, zip(*each[question], strict=True)) for each in times)
        print(f"{question:32} {one:6.1f} ms ({had:.0f})  {ten:6.1f} ms ({have:.0f})  {ten / one:.2f}  n={len(small)}")


def _turn(process: "subprocess.Popen[str]") -> Any:
    assert process.stdin
    assert process.stdout
    process.stdin.write("go\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def answer() -> None:
    """Answer each line that comes: by meter and zone, milliseconds and customers with usage, chunk by chunk."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    from django.db import connection

    from billing.metering.models import Meter
    from customers.models import Customer

    with connection.cursor() as cursor:
        cursor.execute("SELECT max(ts) FROM metering_event")
        (last,) = cursor.fetchone()
    ids = list(Customer.objects.order_by("external_id").values_list("id", flat=True))
    meters, dice = list(Meter.objects.order_by("code")), random.Random(1)
    for _ in sys.stdin:
        found = {
            f"{meter.code} {zone}": _measure(meter, _month(last, zone), [dice.sample(ids, CHUNK) for _ in range(EACH)])
            for meter in meters
            for zone in ZONES
        }
        print(json.dumps(found), flush=True)


def _month(last: Any, zone: str) -> Any:
    """The month in which the last event happened, in the zone."""
    from billing.periods import Period, local_date, local_midnight

    first = local_date(last, zone).replace(day=1)
    after = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return Period(local_midnight(first, zone), local_midnight(after, zone))


def _measure(meter: Any, month: Any, chunks: list[list[int]]) -> list[tuple[float, int]]:
    """The first chunk prepares the statement, the others count."""
    from billing.metering.queries import quantities

    found = []
    for chunk in chunks:
        began = time.perf_counter()
        rows = quantities(customer_ids=chunk, meters=[meter], period=month)
        found.append((1000 * (time.perf_counter() - began), len(rows)))
    return found[1:]


if __name__ == "__main__":
    main()
