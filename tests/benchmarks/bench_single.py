"""Single events a second, each durable before its answer, beside an empty Django view on the same server, in one run.

    .venv/bin/python -m tests.benchmarks.bench_single [--rounds 9] [--requests 4000] [--connections 64] [--preload 0]

It makes a database of its own on the server that DATABASE_URL names (or the embedded one), starts granian on it with
the project's application and one more address, an empty view behind the project's middleware, and takes turns: so many
requests to the empty view, then as many events, one a request, over the same number of connections. All requests are
made before the clock starts; every id is new. With --preload so many batches of 1,000 events are stored before.
"""

import argparse
import json
import resource
import selectors
import socket
import statistics
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.benchmarks.bench_ingest import bare_connection, body, copy, database, fields, free_port, post, rows, serve

NAMES = 10
"""Batches of 1,000 events that name every customer."""


def main() -> None:
    """Run the rounds and print both rates and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=4_000, help="requests in a round, of each kind")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--threads", type=int, default=32, help="of each of the two web processes")
    parser.add_argument("--preload", type=int, default=0, help="batches of 1,000 events that are stored before")
    parser.add_argument("--book", action="store_true", help="on a copy of the book of manage.py seed_scale")
    options = parser.parse_args()
    with database(book=options.book):
        measure(options)


def measure(options: argparse.Namespace) -> None:
    """Start the server and let both kinds of request take turns."""
    from billing.metering.services import create_api_key

    _, secret = create_api_key(name="bench", default_source="bench", user=None, now=datetime.now(UTC))
    bare = bare_connection()
    for n in range(options.preload):
        copy(bare, [rows("preload", n)])
    with free_port() as reserved:
        port = reserved.getsockname()[1]
    server = serve(port, options.threads, "tests.benchmarks.empty:application", "--factory")
    nothing = b"GET /empty HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    try:
        for n in range(4 * NAMES):  # both processes know the names then, as they do after the first minutes
            post(port, secret, [body("names", n % NAMES)], again=True)
        run(port, [nothing] * 200 + [event("warm", n, secret) for n in range(2000)], options.connections)
        rates: dict[str, list[float]] = {"events": [], "empty": []}
        for turn in range(options.rounds):
            for kind, requests in (
                ("empty", [nothing] * options.requests),
                ("events", [event(f"round{turn}", n, secret) for n in range(options.requests)]),
            ):
                rates[kind].append(options.requests / run(port, requests, options.connections))
            events, empty = rates["events"][-1], rates["empty"][-1]
            shown = f"events {events:>7,.0f}/s, empty view {empty:>7,.0f}/s, ratio {events / empty:.2f}"
            print(f"round {turn + 1}: {shown}", flush=True)
        check(bare, 2000 + NAMES * 1000 + options.rounds * options.requests)
        events, empty = (statistics.median(rates[kind]) for kind in ("events", "empty"))
        print(
            f"median over {options.connections} connections: single events {events:,.0f}/s, an empty Django view"
            f" {empty:,.0f}/s; ratio {events / empty:.2f}; a web process holds {memory(server.pid):,} MB"
        )
    finally:
        server.terminate()
        server.wait(20)
        bare.close()


def check(bare: object, wanted: int) -> None:
    """SystemExit unless every event that was answered is stored, once."""
    with bare.cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute(
            "SELECT count(*) FROM metering_event WHERE batch IN (SELECT no FROM metering_batch WHERE origin = 'api')"
        )
        (found,) = cursor.fetchone()
        cursor.execute("SELECT count(*) FROM metering_batch")
        print(f"events stored: {found:,}, in {cursor.fetchone()[0]:,} commits")
    if found != wanted:
        raise SystemExit(f"{wanted:,} events were answered, {found:,} are stored")


def memory(pid: int) -> int:
    """Megabytes that the largest process of the server holds."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    pages = max(int(Path(f"/proc/{child}/statm").read_text().split()[1]) for child in children)
    return pages * resource.getpagesize() // 1_000_000


def event(run: str, number: int, secret: str) -> bytes:
    """A request with one event."""
    identifier, subject, moment, data = fields(run, number // 1000, number % 1000)
    content = json.dumps(
        {
            "id": identifier,
            "type": "inference",
            "subject": subject,
            "time": moment.isoformat(),
            "data": json.loads(data),
        }
    ).encode()
    head = (
        f"POST /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {secret}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def run(port: int, requests: Sequence[bytes], connections: int) -> float:
    """Seconds in which all requests are answered, each connection sending the next when it has its answer."""
    waiting = iter(requests)
    open_ones = 0
    with selectors.DefaultSelector() as selector:
        sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
        for each in sockets:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(each, selectors.EVENT_READ)
        begin = time.perf_counter()
        for each in sockets:
            each.sendall(next(waiting))
            open_ones += 1
        while open_ones:
            for key, _ in selector.select():
                answered(key.fileobj)  # type: ignore[arg-type]
                open_ones -= 1
                if following := next(waiting, None):
                    key.fileobj.sendall(following)  # type: ignore[union-attr]
                    open_ones += 1
        seconds = time.perf_counter() - begin
        for each in sockets:
            each.close()
    return seconds


def answered(connection: socket.socket) -> None:
    """Read an answer; SystemExit unless it is 200 and took the event."""
    data = connection.recv(65_536)
    while b"\r\n\r\n" not in data or not data.endswith(b"}"):
        more = connection.recv(65_536)
        if not more:
            raise SystemExit(f"the connection ended within an answer: {data!r}")
        data += more
    if not data.startswith(b"HTTP/1.1 200") or b'"accepted":0' in data:
        raise SystemExit(f"unexpected answer: {data!r}")


if __name__ == "__main__":
    main()
