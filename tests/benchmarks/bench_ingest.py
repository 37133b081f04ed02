"""Events a second over HTTP, beside a bare COPY of the same rows, in one run.

    .venv/bin/python -m tests.benchmarks.bench_ingest [--rounds 5] [--batches 60] [--connections 8] [--preload 0]

It makes a database of its own on the server that DATABASE_URL names (or the embedded one), starts granian on it, and
takes turns: a round of requests of 1,000 events each over HTTP, then a COPY of as many rows, on one connection and in
transactions of 1,000, into the same event and key tables. Bodies and rows are made before the clock starts; every id
is new. The ratio is the HTTP rate to the rate of that COPY into both tables.
"""

import argparse
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path

import django
import psycopg

BATCH = 1000
ROOT = Path(__file__).resolve().parents[2]
START = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0) - timedelta(days=20)


def main() -> None:
    """Run the rounds and print both rates and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=60, help="batches of 1,000 events in a round")
    parser.add_argument("--connections", type=int, default=8, help="enough that each web worker gets its share")
    parser.add_argument("--preload", type=int, default=0, help="batches of 1,000 events that are stored before")
    parser.add_argument("--threads", type=int, default=32, help="of each of the two web processes")
    parser.add_argument("--book", action="store_true", help="on a copy of the book of manage.py seed_scale")
    options = parser.parse_args()
    with database(book=options.book):
        measure(options)


@contextmanager
def database(*, book: bool = False) -> Iterator[None]:
    """A migrated database of its own, for this process and those that it starts; with `book`, a copy of the book that
    `manage.py seed_scale` made where the settings lead to."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.core.management import call_command
    from django.db import connection

    name = f"bench_{uuid.uuid4().hex[:8]}"
    with connection.cursor() as cursor:
        source = f" TEMPLATE {connection.settings_dict['NAME']} STRATEGY FILE_COPY" if book else ""
        cursor.execute(f"CREATE DATABASE {name}{source}")
    connection.close()
    connection.settings_dict["NAME"] = name
    os.environ["METERBOOK_DATABASE_NAME"] = name
    try:
        call_command("migrate", verbosity=0)
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = "postgres"
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


def bare_connection() -> psycopg.Connection:
    """A connection to the benchmark's database without Django's ways."""
    from django.db import connection

    params = connection.get_connection_params()
    return psycopg.connect(**{key: value for key, value in params.items() if key not in ("cursor_factory", "context")})


def measure(options: argparse.Namespace) -> None:
    """Start the server and let both ways take turns."""
    from billing.metering.services import create_api_key

    _, secret = create_api_key(name="bench", default_source="bench", user=None, now=datetime.now(UTC))
    bare = bare_connection()
    with free_port() as reserved:
        port = reserved.getsockname()[1]
    server = serve(port, options.threads)
    try:
        post(port, secret, [body("warm", n) for n in range(4)])  # months, names, plans
        for n in range(options.preload):
            copy(bare, [rows("preload", n)])
        ways: dict[str, list[float]] = {"http": [], "copy": []}
        for turn in range(options.rounds):
            bodies = [body(f"http{turn}", n) for n in range(options.batches)]
            ways["http"].append(timed(lambda b=bodies: spread(port, secret, b, options.connections), options.batches))
            batches = [rows(f"copy{turn}", n) for n in range(options.batches)]
            ways["copy"].append(timed(lambda b=batches: copy(bare, b), options.batches))
            print(f"round {turn + 1}: HTTP {ways['http'][-1]:>9,.0f} events/s, COPY {ways['copy'][-1]:>9,.0f} rows/s,"
                  f" ratio {ways['http'][-1] / ways['copy'][-1]:.2f}", flush=True)  # fmt: skip
        with bare.cursor() as cursor:
            cursor.execute("SELECT count(*), (SELECT count(*) FROM metering_key) FROM metering_event")
            print("events and keys stored:", *cursor.fetchone())
        http, plain = (statistics.median(ways[way]) for way in ("http", "copy"))
        print(
            f"median over {options.connections} connections, batches of {BATCH}: HTTP {http:,.0f} events/s;"
            f" COPY into metering_event and metering_key, 1 connection: {plain:,.0f} rows/s; ratio {http / plain:.2f}"
        )
    finally:
        server.terminate()
        server.wait(20)
        bare.close()


def timed(work: object, batches: int) -> float:
    """Events a second of a piece of work."""
    begin = time.perf_counter()
    work()  # type: ignore[operator]
    return batches * BATCH / (time.perf_counter() - begin)


def free_port() -> socket.socket:
    """A socket on a port that nobody uses; close it and take the port."""
    reserved = socket.socket()
    reserved.bind(("127.0.0.1", 0))
    return reserved


def serve(port: int, threads: int, *target: str) -> subprocess.Popen[bytes]:
    """Granian on that port, once it answers; two processes, as the machine's cores."""
    command = [
        str(Path(sys.executable).parent / "granian"), *(target or ("config.wsgi:application",)), "--interface", "wsgi",
        "--port", str(port), "--workers", "2", "--blocking-threads", str(threads), "--no-ws", "--log-level", "warning",
    ]  # fmt: skip
    server = subprocess.Popen(command, cwd=ROOT)
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            time.sleep(1)
            return server
    raise SystemExit("granian did not start")


def fields(run: str, batch: int, n: int) -> tuple[str, str, datetime, str]:
    """Id, subject, time and data of an event: 10,000 customers, ids that never repeat."""
    number = batch * BATCH + n
    identifier = f"{run}-{uuid.UUID(int=blake2b_int(f'{run}{number}'))}"
    moment = START + timedelta(seconds=number % 1_500_000, microseconds=number)
    return (
        identifier,
        f"scale-{number * 7919 % 10_000:06d}",
        moment,
        f'{{"model": "m{number % 7}", "input_tokens": {number % 5000}, "output_tokens": {number % 977}}}',
    )


def blake2b_int(text: str) -> int:
    """128 bits that depend on the text."""
    return int.from_bytes(blake2b(text.encode(), digest_size=16).digest())


def body(run: str, batch: int) -> bytes:
    """A request's body: a list of 1,000 events."""
    events = []
    for n in range(BATCH):
        identifier, subject, moment, data = fields(run, batch, n)
        events.append({"id": identifier, "type": "inference", "subject": subject, "time": moment.isoformat(),
                       "data": json.loads(data)})  # fmt: skip
    return json.dumps(events).encode()


def rows(run: str, batch: int) -> tuple[bytes, bytes]:
    """The same rows as text for COPY: events and keys."""
    events, keys = [], []
    for n in range(BATCH):
        identifier, subject, moment, data = fields(run, batch, n)
        subject_id = int(subject.removeprefix("scale-"))
        events.append(f"1\t{n}\t1\t1\t{subject_id}\t{moment.isoformat()}\t{identifier}\t{data}\n")
        number = blake2b_int(identifier)
        keys.append(f"{uuid.UUID(int=number)}\t{number % 2**63}\t{moment.isoformat()}\t{subject_id}\t1\n")
    return "".join(events).encode(), "".join(keys).encode()


def copy(bare: psycopg.Connection, batches: list[tuple[bytes, bytes]]) -> None:
    """COPY each batch into both tables, a transaction each."""
    for events, keys in batches:
        with bare.transaction(), bare.cursor() as cursor:
            columns = "batch, n, source_id, type_id, subject_id, ts, id, data"
            with cursor.copy(f"COPY metering_event ({columns}) FROM STDIN") as stream:
                stream.write(events)
            with cursor.copy("COPY metering_key (digest, content, ts, subject_id, type_id) FROM STDIN") as stream:
                stream.write(keys)


def spread(port: int, secret: str, bodies: list[bytes], connections: int) -> None:
    """Send the bodies over so many connections at once."""
    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(lambda start: post(port, secret, bodies[start::connections]), range(connections)))


def post(port: int, secret: str, bodies: list[bytes], *, again: bool = False) -> None:
    """Send bodies over one connection, one by one; SystemExit unless each is accepted whole, or known when `again`."""
    client = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    for each in bodies:
        client.request("POST", "/api/v1/events", each, headers)
        answer = client.getresponse()
        report = json.loads(answer.read())
        if answer.status != 200 or report["accepted"] + (report["duplicates"] if again else 0) != BATCH:
            raise SystemExit(f"unexpected answer: {answer.status} {report}")
    client.close()


if __name__ == "__main__":
    main()
