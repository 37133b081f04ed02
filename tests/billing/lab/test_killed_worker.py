"""A worker that dies in the middle of a run, and two workers at once: real processes, real commits."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from billing.lab import running, services
from billing.lab.models import TrialRun
from tests.billing.lab.helpers import NOW, finish, make_book, make_candidate, make_trial, never, now, start

pytestmark = pytest.mark.django_db(transaction=True)

WORKER = """
import sys, time, django
django.setup()
from tests.billing.lab.helpers import never, now
from billing.lab import running
running.CHUNK = 2
honest = running.compare
def slow(*args):
    time.sleep(0.3)
    return honest(*args)
running.compare = slow
running.run_trial(run_id=int(sys.argv[1]), clock=now, time_is_up=never)
"""


def worker(run: TrialRun) -> "subprocess.Popen[bytes]":
    """A process that works on the run, two contracts at a time and slowly."""
    own = {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "METERBOOK_DATABASE_NAME": str(connection.settings_dict["NAME"]),
        "METERBOOK_DATA": str(settings.DATA_DIR),
    }
    arguments = [sys.executable, "-c", WORKER, str(run.pk)]
    return subprocess.Popen(arguments, env=os.environ | own, cwd=Path(__file__).parents[3])


def wait_for(run: TrialRun, done: int) -> None:
    """Until the run has rated so many contracts."""
    deadline = time.monotonic() + 60
    while TrialRun.objects.get(pk=run.pk).done < done:
        assert time.monotonic() < deadline, "the worker does nothing"
        time.sleep(0.05)


def test_a_run_that_was_killed_in_the_middle_ends_as_if_nothing_had_happened() -> None:
    make_book([100 * number for number in range(12)])
    trial = make_trial(make_candidate())
    whole, killed = finish(start(trial)), start(trial)
    process = worker(killed)
    try:
        wait_for(killed, 4)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    killed.refresh_from_db()
    assert (killed.state, killed.result) == ("running", {"names": {"platform": "Platform", "tokens": "Tokens"}})
    assert 4 <= killed.done == killed.outcomes.count() < 12
    assert running.run_trial(run_id=killed.pk, clock=now, time_is_up=never) is False  # the lease has not run out yet
    queued: list[int] = []
    later = NOW + timedelta(minutes=5)
    assert services.queue_waiting(queue=queued.append, now=later) == 1
    running.run_trial(run_id=queued[0], clock=lambda: later, time_is_up=never)
    killed.refresh_from_db()
    assert (killed.state, killed.done) == ("done", 12)

    def comparable(run: TrialRun) -> dict[str, object]:
        one = run.result["candidates"][0]
        return {**run.result, "candidates": [{**one, "more": len(one["more"]), "less": len(one["less"])}]}

    assert comparable(killed) == comparable(whole)


def test_two_workers_at_one_run_rate_nobody_twice() -> None:
    make_book([100] * 8)
    run = start(make_trial(make_candidate()))
    both = [worker(run), worker(run)]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    run.refresh_from_db()
    assert (run.state, run.done) == ("done", 8)
    assert set(Counter(run.outcomes.values_list("customer", flat=True)).values()) == {1}


def test_two_runs_of_one_trial_at_once_do_not_disturb_each_other() -> None:
    make_book([100 * number for number in range(6)])
    trial = make_trial(make_candidate())
    first, second = start(trial), start(trial)

    def work(run: TrialRun) -> None:
        try:
            running.run_trial(run_id=run.pk, clock=now, time_is_up=never)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(run,)) for run in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    totals = []
    for run in (first, second):
        run.refresh_from_db()
        assert (run.state, run.outcomes.count()) == ("done", 6)
        totals.append(run.result["candidates"][0]["totals"])
    assert totals[0] == totals[1]
