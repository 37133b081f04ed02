"""How far rollups are behind while events come in at full rate, and how quick questions are meanwhile.

    METERBOOK_DATA=/tmp/book METERBOOK_POSTGRES=shared_buffers=2GB,max_wal_size=8GB \
        .venv/bin/python -m tests.benchmarks.bench_rollups [--seconds 60] [--distinct]

It works on a copy of the book that `manage.py seed_scale` made there, with its meters; `--distinct` adds one that
counts distinct values. Batches of 1,000 events of the minute in which they were made, one in twenty up to 40 hours
late, are made before the clock starts and sent over as many connections as the web processes answer. Every second
the age of the oldest batch that is pending is taken, and the largest customer's month is asked for.
"""

import argparse
import json
import random
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import accumulate

from tests.benchmarks.bench_ingest import BATCH, bare_connection, body, database, free_port, post, serve

RATE = 80_000
"""Events for which bodies are made, for each second."""

SHARES = list(accumulate(10**9 // (2 * rank + 31) for rank in range(10_000)))


def main() -> None:
    """Send, watch, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--distinct", action="store_true")
    options = parser.parse_args()
    with database(book=True):
        measure(options)


def measure(options: argparse.Namespace) -> None:
    """Send at full rate for a time, and watch."""
    from billing.metering.models import Meter
    from billing.metering.rollups import services as rollups
    from billing.metering.services import create_api_key

    if options.distinct:
        Meter.objects.create(
            code="models", name="Models", event_type="inference", aggregation="unique_count", value="input_tokens"
        )
        rollups.build_missing()
    _, secret = create_api_key(name="bench", default_source="bench", user=None, now=datetime.now(UTC))
    with free_port() as reserved:
        port = reserved.getsockname()[1]
    server = serve(port, 32)
    try:
        post(port, secret, [body("warm", n) for n in range(4)])
        with ProcessPoolExecutor(2) as pool:
            made = list(pool.map(live, range(options.seconds * RATE // BATCH), chunksize=20))
        ready, stop, sent = iter(made), threading.Event(), []  # type: ignore[var-annotated]
        senders = [
            threading.Thread(target=send, args=(port, secret, ready, stop, sent)) for _ in range(options.connections)
        ]
        began = time.perf_counter()
        for sender in senders:
            sender.start()
        lags, asked = watch(options.seconds)
        stop.set()
        for sender in senders:
            sender.join()
        took = time.perf_counter() - began
        last = pending()
        drained = time.perf_counter()
        while pending() > 0:
            time.sleep(0.05)
        rate = len(sent) * BATCH / took
        print(f"sent {len(sent) * BATCH:,} events in {took:.0f} s: {rate:,.0f} events/s")
        print(
            f"lag of rollups: median {statistics.median(lags):.1f} s, largest {max(lags):.1f} s, at the end"
            f" {last:.1f} s; all was counted {time.perf_counter() - drained:.1f} s later"
        )
        high = statistics.quantiles(asked, n=20)[18]
        print(f"the largest customer's month meanwhile: median {statistics.median(asked):.1f} ms, p95 {high:.1f} ms")
    finally:
        server.terminate()
        server.wait(20)


def watch(seconds: int) -> tuple[list[float], list[float]]:
    """Lags in seconds, and times of a question in milliseconds, each second."""
    from billing.metering.models import Meter
    from billing.metering.queries import quantities
    from billing.periods import Period
    from customers.models import Customer

    largest = Customer.objects.get(external_id="scale-000000")
    meter = Meter.objects.get(code="tokens")
    start = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0) - timedelta(hours=5, minutes=45)
    month = Period(start, start + timedelta(days=31))
    lags, asked = [], []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        quantities(customer_ids=[largest.pk], meters=[meter], period=month)
        asked.append(1000 * (time.perf_counter() - began))
        lags.append(pending())
        time.sleep(max(0, 1 - (time.perf_counter() - began)))
    return lags, asked


def pending() -> float:
    """Seconds since the oldest pending batch was recorded; 0 when nothing is pending."""
    with bare_connection() as connection, connection.cursor() as cursor:
        cursor.execute(
            """SELECT coalesce(extract(epoch FROM clock_timestamp() - min(recorded_at)), 0)
               FROM metering_pending p JOIN metering_batch b ON b.no = p.batch"""
        )
        (lag,) = cursor.fetchone()
    return float(lag)


def live(number: int) -> bytes:
    """A body of events that happen now, but for a few; the largest customers have the most."""
    dice, now, events = random.Random(number), datetime.now(UTC), []
    subjects = dice.choices(range(10_000), cum_weights=SHARES, k=BATCH)
    for n, subject in enumerate(subjects):
        late = timedelta(minutes=dice.randint(0, 2400)) if n % 20 == 0 else timedelta(seconds=n / 1000)
        events.append(
            {
                "id": f"live-{number}-{n}-{dice.getrandbits(64):016x}", "type": "inference",
                "subject": f"scale-{subject:06d}", "time": (now - late).isoformat(),
                "data": {"model": f"m{n % 7}", "input_tokens": n, "output_tokens": number % 977},
            }
        )  # fmt: skip
    return json.dumps(events).encode()


def send(port: int, secret: str, made: Iterator[bytes], stop: threading.Event, sent: list[int]) -> None:
    """Send one after the other until it is time to stop."""
    while not stop.is_set():
        post(port, secret, [next(made)])
        sent.append(1)


if __name__ == "__main__":
    main()
