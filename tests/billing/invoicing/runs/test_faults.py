"""Workers that are killed, a database that restarts, and everything at once: real processes, real commits."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from billing.invoicing.models import BillingRun, Invoice, InvoiceLine, RunOutcome
from billing.invoicing.runs import chunks, planning, working
from billing.invoicing.runs.models import RunChunk
from billing.invoicing.services import approve, cancel, issue, request_run, run_billing
from tests.billing.invoicing.test_concurrency import at_once, book
from tests.factories import NOW

pytestmark = pytest.mark.django_db(transaction=True)
DECEMBER = date(2023, 12, 1)

WORKER = """
import sys, time, django
django.setup()
from django.db import connection, transaction
from config import clock
from billing.invoicing.runs import chunks, working
where = sys.argv[2]
def stop(*args, **kwargs):
    print("stopped", flush=True)
    time.sleep(600)
if where == "before":
    chunks.hold_customers = stop
elif where == "middle":
    honest = chunks.bill_contracts
    def half(**kwargs):
        honest(**kwargs)
        stop()
    chunks.bill_contracts = half
elif where == "after":
    working.finish = stop
elif where == "slow":
    honest = chunks.bill_contracts
    def slow(**kwargs):
        time.sleep(0.3)
        return honest(**kwargs)
    chunks.bill_contracts = slow
elif where == "die":
    import os, signal
    honest = chunks.bill_contracts
    def die(contract_ids, **kwargs):
        if int(sys.argv[3]) in contract_ids:
            os.kill(os.getpid(), signal.SIGKILL)
        return honest(contract_ids=contract_ids, **kwargs)
    chunks.bill_contracts = die
working.work(run_id=int(sys.argv[1]), clock=clock.now)
"""


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two contracts a chunk."""
    monkeypatch.setattr(planning, "CHUNK", 2)


def worker(run: BillingRun, where: str, *more: object) -> "subprocess.Popen[bytes]":
    """A process that works on the run, and stops at a step for good where it is told to."""
    own = {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "METERBOOK_DATABASE_NAME": str(connection.settings_dict["NAME"]),
        "METERBOOK_DATA": str(settings.DATA_DIR),
    }
    arguments = [sys.executable, "-c", WORKER, str(run.pk), where, *map(str, more)]
    return subprocess.Popen(arguments, env=os.environ | own, cwd=Path(__file__).parents[4], stdout=subprocess.PIPE)


def kill_when_stopped(process: "subprocess.Popen[bytes]") -> None:
    """SIGKILL at the step at which it stopped."""
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"stopped\n"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    until(lambda: not _others())


def until(true: Callable[[], bool]) -> None:
    """Wait for it."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def _others() -> int:
    """Locks on chunks that other connections hold: the server lets go of a killed one's a moment later."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s", [chunks.CHUNK_LOCK]
        )
        found: int = cursor.fetchone()[0]
    return found


def is_whole(run: BillingRun, contracts: int) -> None:
    """Everything billed once, and the run done."""
    run.refresh_from_db()
    assert run.state == "done"
    assert run.finished_at is not None
    assert Counter(run.outcomes.values_list("result", flat=True)) == {"drafted": contracts}
    assert Invoice.objects.count() == contracts
    assert {each.total for each in Invoice.objects.all()} == {Decimal("201.00")}
    assert InvoiceLine.objects.count() == contracts * 3


@pytest.mark.parametrize("where", ["before", "middle", "after"])
def test_a_run_whose_worker_was_killed_ends_as_if_nothing_had_happened(where: str) -> None:
    book(5)
    run = request_run(as_of=DECEMBER, now=NOW)
    kill_when_stopped(worker(run, where))
    run.refresh_from_db()
    assert run.state == "running"
    done = 3 if where == "after" else 0
    assert run.chunks.filter(state="done").count() == done
    assert Invoice.objects.count() == (5 if where == "after" else 0)
    queued: list[int] = []
    assert working.queue_silent(queue=queued.append, now=NOW) == 0  # something was heard a moment ago
    later = datetime.now(UTC) + timedelta(minutes=2)
    assert working.queue_silent(queue=queued.append, now=later) == 1
    working.work(run_id=queued[0], clock=lambda: later)
    is_whole(run, 5)


def test_two_workers_share_a_run_and_bill_nobody_twice() -> None:
    book(8)
    run = request_run(as_of=DECEMBER, now=NOW)
    both = [worker(run, "slow"), worker(run, "slow")]
    assert [process.wait(timeout=90) for process in both] == [0, 0]
    for process in both:
        assert process.stdout is not None
        process.stdout.close()
    is_whole(run, 8)
    assert len(set(run.chunks.values_list("worker", flat=True))) == 2
    assert set(run.chunks.values_list("attempts", flat=True)) == {1}


def test_a_customer_that_kills_every_worker_fails_alone() -> None:
    book(4)
    run = request_run(as_of=DECEMBER, now=NOW)
    deadly = run.chunks.order_by("number")[0].contract_ids[0]
    for _ in range(6):
        process = worker(run, "die", deadly)
        process.wait(timeout=90)
        assert process.stdout is not None
        process.stdout.close()
        until(lambda: not _others())
    run.refresh_from_db()
    assert (run.state, run.chunks.filter(state="divided").count()) == ("problems", 1)
    assert dict(run.outcomes.values_list("contract", "result"))[deadly] == "failed"
    assert Counter(run.outcomes.values_list("result", flat=True)) == {"drafted": 3, "failed": 1}
    assert "The worker died 3 times" in run.outcomes.get(result="failed").reason


def test_a_database_that_ends_all_connections_in_the_middle_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    book(4)
    run = request_run(as_of=DECEMBER, now=NOW)
    honest, cut = chunks.bill_contracts, []

    def interrupted(**given: object) -> list[RunOutcome]:
        found = honest(**given)  # type: ignore[arg-type]
        if not cut:
            cut.append(True)
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return found

    monkeypatch.setattr(chunks, "bill_contracts", interrupted)
    working.work(run_id=run.pk, clock=lambda: NOW)
    assert cut
    is_whole(run, 4)
    assert sorted(run.chunks.values_list("attempts", flat=True)) == [1, 2]


def test_a_customer_that_fails_leaves_all_others_of_the_chunk_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "CHUNK", 200)
    book(7)
    run = request_run(as_of=DECEMBER, now=NOW)
    bad = run.chunks.get().contract_ids[4]
    honest = chunks.bill_contracts

    def faulty(contract_ids: list[int], **given: object) -> list[RunOutcome]:
        found = honest(contract_ids=contract_ids, **given)  # type: ignore[arg-type]
        if bad in contract_ids:
            raise ZeroDivisionError("a fault in a rule")
        return found

    monkeypatch.setattr(chunks, "bill_contracts", faulty)
    working.work(run_id=run.pk, clock=lambda: NOW)
    run.refresh_from_db()
    assert run.state == "problems"
    assert Counter(run.outcomes.values_list("result", flat=True)) == {"drafted": 6, "failed": 1}
    failed = run.outcomes.get(result="failed")
    assert (failed.contract_id, failed.reason) == (bad, "ZeroDivisionError('a fault in a rule')")
    assert not Invoice.objects.filter(contract=bad).exists()
    assert (run.chunks.get().drafted, run.chunks.get().failed) == (6, 1)


def test_a_run_that_is_cancelled_bills_no_further_and_keeps_what_it_drafted() -> None:
    book(6)
    run = request_run(as_of=DECEMBER, now=NOW)
    process = worker(run, "slow")
    until(lambda: run.chunks.filter(state="done").exists())
    cancel(run_id=run.pk, user=None, now=NOW)
    process.wait(timeout=60)
    assert process.stdout is not None
    process.stdout.close()
    run.refresh_from_db()
    assert run.state == "cancelled"
    assert set(run.chunks.values_list("state", flat=True)) == {"done", "cancelled"}
    assert 2 <= run.outcomes.count() == Invoice.objects.count() < 6
    assert run_billing(as_of=DECEMBER, now=NOW).state == "done"
    assert Invoice.objects.count() == 6


def test_runs_approvals_and_issues_at_once_bill_everything_once() -> None:
    book(6)
    run_billing(as_of=DECEMBER, now=NOW)
    ids = list(Invoice.objects.values_list("pk", flat=True))
    at_once(
        lambda: run_billing(as_of=DECEMBER, now=NOW),
        lambda: approve(invoice_ids=ids, user=None, now=NOW),
        lambda: run_billing(as_of=DECEMBER, now=NOW),
        lambda: issue(invoice_ids=ids, user=None, now=NOW),
    )
    assert RunOutcome.objects.filter(result="failed").count() == 0
    assert set(RunChunk.objects.values_list("state", flat=True)) == {"done"}
    approve(invoice_ids=ids, user=None, now=NOW)
    issue(invoice_ids=ids, user=None, now=NOW)
    run_billing(as_of=DECEMBER, now=NOW)
    assert Invoice.objects.filter(state="issued").count() == Invoice.objects.count() == 6
    assert InvoiceLine.objects.count() == 6 * 3
