"""Memory of the server through one NDJSON upload of a gigabyte, with problems in it.

    .venv/bin/python -m tests.benchmarks.bench_ndjson [--megabytes 1000] [--line 2000] [--bad 10]

It makes a database of its own on the server that DATABASE_URL names (or the embedded one), starts granian on it, and
sends one stream of lines in chunks, of which every tenth is no event. It prints how long that took, the most that any
web process held meanwhile, and what the answer and the file of problems say.
"""

import argparse
import http.client
import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks.bench_ingest import database, free_port, serve

MOST_MEGABYTES = 300
CHUNK = 200
"""Lines that are sent at once."""


def main() -> None:
    """Send the stream and print the figures; exit status 1 when a process held more than 300 MB."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--line", type=int, default=2000, help="bytes of a line")
    parser.add_argument("--bad", type=int, default=10, help="every so many lines are no event")
    options = parser.parse_args()
    with database():
        measure(options)


def measure(options: argparse.Namespace) -> None:
    """Start the server, send, and look at what its processes held."""
    from billing.metering.services import create_api_key

    _, secret = create_api_key(name="bench", default_source="bench", user=None, now=datetime.now(UTC))
    with free_port() as reserved:
        port = reserved.getsockname()[1]
    server = serve(port, 16)
    try:
        lines = options.megabytes * 1_000_000 // options.line
        list(request(port, secret, "POST", "/api/v1/events", iter([line(-1, options)])))  # names, months, plans
        before = held(server.pid, "VmRSS")
        begin = time.perf_counter()
        report = json.loads(b"".join(request(port, secret, "POST", "/api/v1/events", chunks(lines, options))))
        taken = time.perf_counter() - begin
        problems = sum(part.count(b"\n") for part in request(port, secret, "GET", report["problems_url"]))
        most = held(server.pid, "VmHWM")
    finally:
        server.terminate()
        server.wait(20)
    counts = {name: value for name, value in report.items() if isinstance(value, int)}
    print(
        f"{options.megabytes:,} MB in {lines:,} lines, {taken:,.0f} s, {options.megabytes / taken:,.0f} MB/s: {counts}"
    )
    print(f"named in the answer: {len(report['rejected']):,}; in the file of problems: {problems:,}")
    print(f"the largest web process held {before:,} MB before and at most {most:,} MB (limit {MOST_MEGABYTES})")
    assert problems == report["rejected_count"] == lines - report["accepted"]
    raise SystemExit(int(most > MOST_MEGABYTES))


def line(number: int, options: argparse.Namespace) -> bytes:
    """A line of the wanted length: an event, or now and then none."""
    if number % options.bad == 0:
        return b'{"id": "' + str(number).encode() + b'", "type": "inference"}'.ljust(options.line - 1) + b"\n"
    event = {"id": str(number), "type": "inference", "subject": f"customer-{number % 10_000}",
             "time": "2026-03-01T00:00:00Z", "data": {"tokens": number % 5000, "text": ""}}  # fmt: skip
    padding = "x" * (options.line - len(json.dumps(event)) - 1)
    return json.dumps(event | {"data": {"tokens": number % 5000, "text": padding}}).encode() + b"\n"


def chunks(lines: int, options: argparse.Namespace) -> Iterator[bytes]:
    """The stream."""
    for start in range(0, lines, CHUNK):
        yield b"".join(line(number, options) for number in range(start, min(start + CHUNK, lines)))


def request(port: int, secret: str, method: str, path: str, body: Any = None) -> Iterator[bytes]:
    """The answer's body, piece by piece; SystemExit unless it is a success."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    client.request(method, path, body, {"Authorization": f"Bearer {secret}", "Content-Type": "application/x-ndjson"})
    answer = client.getresponse()
    if answer.status != 200:
        raise SystemExit(f"unexpected answer: {answer.status} {answer.read().decode()}")
    while piece := answer.read(65_536):
        yield piece
    client.close()


def held(pid: int, which: str) -> int:
    """Megabytes that the largest process of the server holds now (VmRSS), or held at most (VmHWM)."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    found = [re.search(rf"{which}:\s+(\d+) kB", Path(f"/proc/{child}/status").read_text()) for child in children]
    return max(int(each[1]) for each in found if each) * 1024 // 1_000_000


if __name__ == "__main__":
    main()
