"""Files of a folder are fetched once, grow, change and fail; a source keeps its position and says when it is silent."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import fsspec
import pytest

from billing.metering import csv_import
from billing.metering.alerts.models import UsageAlert
from billing.metering.models import Event, EventSource
from billing.metering.sources import leases, queries, services
from billing.metering.sources.models import PullFile, PullSource
from billing.metering.sources.pulling import INTERRUPTED, run_pull
from tests.billing.metering.sources.helpers import (
    LINES,
    MAPPING,
    NOW,
    counts,
    make_source,
    never,
    nowhere,
    pull,
    tokens,
    workbook,
    write,
)  # fmt: skip

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "incoming" / "exports"
    found.mkdir(parents=True)
    return found


def test_it_works(folder: Path) -> None:
    write(folder, "a.csv", LINES[:3])
    write(folder, "b.csv", [LINES[0], *LINES[3:]])
    source = make_source(str(folder))
    assert counts(pull(source)) == (5, 5, 0, 0, 0)
    assert tokens() == [1, 2, 3, 4, 5]
    assert set(EventSource.objects.values_list("name", flat=True)) == {"pull:exports/a.csv", "pull:exports/b.csv"}
    assert source.last_new_at == NOW


def test_a_file_that_stays_is_not_read_again(folder: Path) -> None:
    write(folder, "a.csv", LINES)
    source = make_source(f"file://{folder}/*.csv")
    pull(source)
    assert counts(pull(source)) == (0, 0, 0, 0, 0)


def test_a_growing_file_is_read_from_where_it_stood(folder: Path) -> None:
    write(folder, "a.csv", LINES[:3])
    source = make_source(str(folder))
    pull(source)
    write(folder, "a.csv", LINES, later=60)
    assert counts(pull(source)) == (3, 3, 0, 0, 0)
    assert tokens() == [1, 2, 3, 4, 5]


def test_a_row_that_is_being_written_is_read_once_it_is_whole(folder: Path) -> None:
    write(folder, "a.csv", [*LINES[:3], "2026-02-01 00:00:03,acme,3"], end="")
    source = make_source(str(folder))
    assert counts(pull(source)) == (2, 2, 0, 0, 0)
    write(folder, "a.csv", [*LINES[:3], "2026-02-01 00:00:03,acme,31"], end="", later=60)
    assert counts(pull(source)) == (0, 0, 0, 0, 0)
    assert counts(pull(source)) == (1, 1, 0, 0, 0)  # nobody wrote to it since the last look
    assert counts(pull(source)) == (0, 0, 0, 0, 0)
    assert tokens() == [1, 2, 31]


def test_a_changed_file_is_read_anew_and_what_contradicts_is_a_conflict(folder: Path) -> None:
    write(folder, "a.csv", LINES[:4])
    source = make_source(str(folder))
    pull(source)
    write(folder, "a.csv", [*LINES[:2], "2026-02-01 00:00:02,acme,20", LINES[3], LINES[4]], later=60)
    run = pull(source)
    assert counts(run) == (4, 1, 2, 1, 0)
    assert "conflict" in queries.errors_of(run).read_text()
    assert tokens() == [1, 2, 3, 4]


def test_a_shorter_file_is_read_anew(folder: Path) -> None:
    write(folder, "a.csv", LINES)
    source = make_source(str(folder))
    pull(source)
    write(folder, "a.csv", LINES[:3], later=60)
    assert counts(pull(source)) == (2, 0, 2, 0, 0)
    assert PullFile.objects.get().rows == 2


def test_the_same_rows_in_another_file_count_once_when_ids_come_from_the_content(folder: Path) -> None:
    write(folder, "a.csv", LINES[:4])
    write(folder, "b.csv", [LINES[0], *LINES[3:]])
    source = make_source(str(folder), mapping=MAPPING | {"ids": "content", "source": "warehouse"})
    assert counts(pull(source)) == (6, 5, 1, 0, 0)


def test_a_run_that_dies_in_the_middle_is_followed_by_another(folder: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(csv_import, "BATCH", 2)
    write(folder, "a.csv", LINES)
    source = make_source(str(folder))
    renew, done = leases.renew, []

    def dying(*args: Any, **changes: Any) -> None:
        done.append(changes)
        if len(done) == 2:
            raise KeyboardInterrupt
        renew(*args, **changes)

    with monkeypatch.context() as patch:
        patch.setattr(leases, "renew", dying)
        with pytest.raises(KeyboardInterrupt):
            pull(source)
    assert PullFile.objects.get().rows == 2
    assert run_pull(source_id=source.pk, clock=lambda: NOW, time_is_up=never, environ={}) is False  # still leased
    assert source.runs.count() == 1
    run = pull(source, now=NOW + timedelta(minutes=5))
    assert counts(run) == (3, 3, 0, 0, 0)
    assert source.runs.earliest("pk").error == INTERRUPTED
    assert tokens() == [1, 2, 3, 4, 5]


def test_a_long_source_is_read_in_stretches(folder: Path) -> None:
    write(folder, "a.csv", [LINES[0], *(f"2026-02-01 00:00:00,acme,{n}" for n in range(150))])
    write(folder, "b.csv", LINES)
    source = make_source(str(folder))
    found = [counts(pull(source, time_is_up=lambda: True))[1] for _ in range(3)]
    assert found == [100, 55, 0]


def test_a_dry_run_stores_neither_events_nor_positions(folder: Path) -> None:
    write(folder, "a.csv", [*LINES, "bad,acme,1"])
    source = make_source(str(folder))
    run = pull(source, dry_run=True)
    assert (counts(run), run.dry_run) == ((6, 5, 0, 0, 1), True)
    assert not Event.objects.exists()
    assert not PullFile.objects.exists()
    assert source.last_new_at is None
    assert counts(pull(source)) == (6, 5, 0, 0, 1)


def test_a_bad_file_keeps_no_other_out(folder: Path) -> None:
    write(folder, "a.csv", ["Report of February", *LINES])
    (folder / "b.xlsx").write_bytes(b"PK\x03\x04")
    write(folder, "c.csv", LINES)
    (folder / "notes.md").write_text("no usage")
    source = make_source(str(folder))
    run = pull(source)
    assert counts(run)[1] == 5
    assert "The first line of a.csv names 1 column" in run.error
    assert "b.xlsx cannot be read as a workbook" in run.error
    assert (source.failures, source.last_error) == (1, run.error)
    write(folder, "a.csv", LINES[:2], later=60)
    (folder / "b.xlsx").unlink()
    assert pull(source).error == ""
    assert (source.failures, source.last_error) == (0, "")


def test_a_mapping_that_does_not_fit_is_said_by_name(folder: Path) -> None:
    write(folder, "a.csv", ["when,who,n", "2026-02-01 00:00:00,acme,1"])
    source = make_source(str(folder))
    assert "has no column 'time'; its columns are: when, who, n." in pull(source).error


def test_workbooks_are_fetched_too(folder: Path) -> None:
    (folder / "a.xlsx").write_bytes(workbook(["time", "customer", "tokens"], ["2026-02-01 00:00:00", "acme", 7]))
    assert counts(pull(make_source(str(folder)))) == (1, 1, 0, 0, 0)


def test_a_bucket_is_read_through_its_driver(settings: Any) -> None:
    settings.METERBOOK_PULL_SCHEMES = ["memory"]
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pipe("/bucket/usage/a.csv", "\n".join([*LINES, ""]).encode())
    source = make_source("memory://bucket/usage/*.csv")
    assert counts(pull(source)) == (5, 5, 0, 0, 0)
    assert counts(pull(source)) == (0, 0, 0, 0, 0)
    memory.pipe("/bucket/usage/a.csv", "\n".join([*LINES, "2026-02-01 00:00:06,acme,6", ""]).encode())
    assert counts(pull(source)) == (1, 1, 0, 0, 0)


def test_a_driver_that_is_not_installed_is_named() -> None:
    run = pull(make_source("gs://bucket/usage"))
    assert "gs://bucket/usage does not answer" in run.error
    assert "gcsfs" in run.error


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("/etc", "does not lie below"),
        ("{root}/../../etc/passwd", "does not lie below"),
        ("http://example.com/usage.csv", "Files cannot be fetched by http://"),
        ("file://{root}/a.csv::simplecache", "one behind another"),
        ("{root}/linked/*.csv", "does not lie below"),
        ("{root}/nowhere", "does not answer"),
    ],
)
def test_what_may_not_be_read_is_refused(address: str, sentence: str, folder: Path, tmp_path: Path) -> None:
    os.symlink("/etc", folder / "linked")
    assert sentence in pull(make_source(address.format(root=folder))).error


def test_a_link_out_of_the_folder_is_not_followed(folder: Path, tmp_path: Path) -> None:
    outside = write(tmp_path / "outside", "secret.csv", LINES)
    os.symlink(outside, folder / "a.csv")
    assert counts(pull(make_source(str(folder)))) == (0, 0, 0, 0, 0)
    assert not Event.objects.exists()


def test_each_due_source_is_queued_once(folder: Path, django_capture_on_commit_callbacks: Any) -> None:
    due = make_source(str(folder))
    make_source(str(folder), "later", next_due_at=NOW + timedelta(minutes=1))
    make_source(str(folder), "paused", paused=True)
    make_source(str(folder), "unmapped", mapping={})
    queued: list[int] = []
    for _ in range(2):
        with django_capture_on_commit_callbacks(execute=True):
            services.queue_due_sources(queue=queued.append, now=NOW)
    assert queued == [due.pk]
    due.refresh_from_db()
    assert due.next_due_at == NOW + timedelta(hours=1)


def test_the_hour_of_a_daily_run_stays_after_days_without_a_worker(folder: Path) -> None:
    source = make_source(str(folder), unit="days", next_due_at=NOW - timedelta(days=3, hours=9))
    services.queue_due_sources(queue=nowhere, now=NOW)
    source.refresh_from_db()
    assert source.next_due_at == NOW + timedelta(hours=15)


def test_a_source_whose_worker_died_is_queued_again(folder: Path, django_capture_on_commit_callbacks: Any) -> None:
    source = make_source(str(folder), next_due_at=NOW + timedelta(days=1))
    leases.take(PullSource, source.pk, NOW)
    queued: list[int] = []
    for minutes in (1, 5, 6):
        with django_capture_on_commit_callbacks(execute=True):
            services.queue_due_sources(queue=queued.append, now=NOW + timedelta(minutes=minutes))
    assert queued == [source.pk]


def test_a_source_without_new_rows_falls_silent_and_recovers(folder: Path) -> None:
    write(folder, "a.csv", LINES[:3])
    source = make_source(str(folder), silent_after_hours=2)
    pull(source)
    services.queue_due_sources(queue=nowhere, now=NOW + timedelta(hours=2))
    source.refresh_from_db()
    assert source.silent_since is None
    late = NOW + timedelta(hours=3)
    services.queue_due_sources(queue=nowhere, now=late)
    source.refresh_from_db()
    assert source.silent_since == NOW
    assert UsageAlert.objects.get(closed_at=None).source == source.name
    assert queries.troubles() == (1, 0, 1)
    pull(source, now=late)
    assert queries.state_of(queries.with_running(PullSource.objects.all()).get()) == "Silent"
    write(folder, "a.csv", LINES, later=60)
    pull(source, now=late)
    assert (source.silent_since, queries.troubles()) == (None, (1, 0, 0))
    assert not UsageAlert.objects.filter(closed_at=None).exists()


def test_a_source_that_fails_again_and_again_is_called_failing(folder: Path) -> None:
    source = make_source(str(folder / "nowhere"))
    for _ in range(3):
        pull(source)
    assert queries.state_of(queries.with_running(PullSource.objects.all()).get()) == "Failing"
    assert queries.troubles() == (1, 1, 0)


def test_runs_that_found_nothing_are_forgotten_after_a_while(folder: Path) -> None:
    write(folder, "a.csv", [*LINES, "bad,acme,1"])
    source = make_source(str(folder))
    kept = pull(source)
    pull(source)
    services.tidy(now=NOW + timedelta(days=31))
    assert list(source.runs.all()) == [kept]
    assert not queries.errors_of(kept).exists()
