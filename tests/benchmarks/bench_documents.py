"""How long documents take, and whether a worker that draws a thousand of them grows.

    METERBOOK_DATA=/tmp/documents .venv/bin/python manage.py migrate
    METERBOOK_DATA=/tmp/documents .venv/bin/python -m tests.benchmarks.bench_documents [--documents 1000] [--lines 50]

It makes an invoice of `--lines` lines and draws it five times, then issues `--documents` small ones and draws what
waits, as the worker does. Everything is rolled back, and files go to a folder that is removed.
"""

import argparse
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

import django


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--lines", type=int, default=50)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.conf import settings
    from django.db import transaction

    with tempfile.TemporaryDirectory() as folder, transaction.atomic():
        settings.MEDIA_ROOT = folder
        one(options.lines)
        many(options.documents)
        transaction.set_rollback(True)


def one(lines: int) -> None:
    """The median of five drawings of a large invoice, after one that loads the fonts."""
    from billing.invoicing.documents import render_pdf
    from tests.billing.issued import Line, make_contract, make_invoice

    steps = [("First 5,000,000 tokens at USD 0.000003", "5000000", "15"), ("Above that", "100", "1")]
    each = [Line(f"Tokens {place}", "16.00", code=f"t{place}", quantity="5000100", unit="token", steps=steps)
            for place in range(lines)]  # fmt: skip
    invoice = make_invoice(make_contract("BENCH-1"), each)
    took, busy = [], []
    for _ in range(6):
        began, was = time.perf_counter(), time.process_time()
        rendered = render_pdf(invoice)
        took.append(time.perf_counter() - began)
        busy.append(time.process_time() - was)
    print(
        f"{lines} lines with {2 * lines} steps, {rendered.pages} pages: {statistics.median(took[1:]):.3f} s, "
        f"{statistics.median(busy[1:]):.3f} s of it on a processor"
    )
    print(f"bare: the same words as a table of plain strings, by reportlab alone: {bare(lines):.3f} s")


def bare(lines: int) -> float:
    """The median of five drawings of as many rows of strings, without a template, styles or paragraphs."""
    from io import BytesIO

    from reportlab.platypus import SimpleDocTemplate, Table

    took = []
    for _ in range(5):
        began = time.perf_counter()
        rows = [[f"Tokens {place}", "2026-06-01 - 2026-06-30", "5,000,100", "token", "16.00"] for place in range(lines)]
        steps = [["First 5,000,000 tokens at USD 0.000003", "", "5,000,000", "", "15.00"]] * (2 * lines)
        SimpleDocTemplate(BytesIO()).build([Table(rows + steps)])
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def many(count: int) -> None:
    """Draw what waits, and say how the process grew by hundreds."""
    from billing.invoicing.drawing.services import draw_waiting, want
    from tests.billing.issued import NOW, Line, make_contract, make_invoice

    contract = make_contract("BENCH-2")
    ids = [make_invoice(contract, [Line("Tokens", "10.00")]).pk for _ in range(count)]
    want(invoice_ids=ids, now=NOW)
    began, last = time.perf_counter(), time.perf_counter()
    for place in range(0, count, 100):
        left = iter(range(100))
        drawn, failed = draw_waiting(clock=lambda: NOW, time_is_up=lambda left=left: next(left, None) is None)
        now = time.perf_counter()
        print(f"{place + drawn:6} drawn, {failed} failed, {drawn / (now - last):5.1f} a second, {memory()}")
        last = now
    print(f"{count} documents in {time.perf_counter() - began:.1f} s")


def memory() -> str:
    """What the process holds now, and the most that it held, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return f"{pages * resource.getpagesize() // 2**20} MB, at most {most} MB"


if __name__ == "__main__":
    main()
