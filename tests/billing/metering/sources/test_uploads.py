"""An uploaded file is checked, confirmed and imported: every row once, whatever happens in between."""

import csv
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from billing.metering import csv_import
from billing.metering.corrections.models import VoidedEvent
from billing.metering.corrections.services import revert
from billing.metering.models import Event, EventBatch, EventSource
from billing.metering.sources import leases, queries, services, uploading
from billing.metering.sources.errors import LeaseLost, NotNow, SourceError
from billing.metering.sources.models import Upload
from billing.metering.sources.states import UploadState
from tests import factories
from tests.billing.metering.sources.helpers import (
    LINES,
    MAPPING,
    NOW,
    bring_in,
    check,
    clock,
    counts,
    never,
    nowhere,
    receive,
    tokens,
    workbook,
)  # fmt: skip

pytestmark = pytest.mark.django_db


def test_it_works() -> None:
    upload = bring_in(receive(LINES))
    assert (upload.state, counts(upload)) == (UploadState.DONE, (5, 5, 0, 0, 0))
    assert tokens() == [1, 2, 3, 4, 5]


def test_a_check_says_what_would_happen_and_stores_nothing() -> None:
    factories.make_meter()
    customer = factories.make_customer("acme")
    bad = [*LINES, "2026-02-01 00:00:09,,9", "yesterday,acme,9", "2026-02-01 00:00:10,stranger,7"]
    found = check(receive(bad))
    assert [found[name] for name in ("rows", "accepted", "duplicates", "conflicts", "rejected")] == [8, 6, 0, 0, 2]
    assert [(row, code) for row, code, _, _ in found["problems"]] == [(6, "missing_subject"), (7, "invalid_time")]
    effects = {each["customer_id"]: (each["quantity"], each["events"]) for each in found["effects"]}
    assert {pk: (Decimal(quantity), events) for pk, (quantity, events) in effects.items()} == {
        customer.pk: (15, 5), None: (7, 1),
    }  # fmt: skip
    assert not Event.objects.exists()
    assert not EventSource.objects.exists()


def test_an_import_is_a_backfill_that_can_be_taken_back_as_a_whole() -> None:
    upload = bring_in(receive(LINES))
    batch = EventBatch.objects.get()
    assert batch.origin == "upload usage.csv"
    assert upload.backfill is not None
    assert batch.backfill_id == upload.backfill.pk
    revert(backfill=upload.backfill, reason="The wrong month.", user=None, now=NOW)
    assert VoidedEvent.objects.count() == 5


def test_the_same_file_again_adds_nothing_and_a_longer_one_its_new_rows() -> None:
    first = bring_in(receive(LINES[:4]))
    again = receive(LINES[:4])
    assert queries.same_file(again) == first
    assert counts(bring_in(again)) == (3, 0, 3, 0, 0)
    assert counts(bring_in(receive(LINES))) == (5, 2, 3, 0, 0)
    assert tokens() == [1, 2, 3, 4, 5]


def test_the_mapping_of_a_file_with_the_same_columns_is_remembered() -> None:
    assert queries.earlier_mapping(receive(LINES)) is None
    bring_in(receive(LINES))
    assert queries.earlier_mapping(receive(LINES[:2], "other.csv")) == MAPPING


def test_rows_that_do_not_count_go_to_an_errors_file_that_is_no_formula() -> None:
    upload = bring_in(receive([*LINES, "=1+1,acme,3"]))
    with queries.errors_of(upload).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["row"], row["code"], row["text"]) for row in rows] == [("6", "invalid_time", "'=1+1,acme,3")]


def test_a_worker_that_dies_is_followed_and_no_row_is_lost_or_counted_twice(
    monkeypatch: Any, django_capture_on_commit_callbacks: Any
) -> None:
    monkeypatch.setattr(csv_import, "BATCH", 2)
    upload = receive([*LINES, "never,acme,6"])
    check(upload)
    services.import_upload(upload=upload, user=None, queue=nowhere, now=NOW)
    batches = []

    def dying(*args: Any, **changes: Any) -> None:
        batches.append(changes)
        leases_renew(*args, **changes)
        if len(batches) == 3:
            raise KeyboardInterrupt

    leases_renew = leases.renew
    with monkeypatch.context() as patch:
        patch.setattr(leases, "renew", dying)
        with pytest.raises(KeyboardInterrupt):
            uploading.run_upload(upload_id=upload.pk, clock=clock, time_is_up=never)
    upload.refresh_from_db()
    assert upload.rows == 4
    assert uploading.run_upload(upload_id=upload.pk, clock=clock, time_is_up=never) is False  # still leased
    later = NOW + timedelta(minutes=5)
    queued: list[int] = []
    with django_capture_on_commit_callbacks(execute=True):
        services.queue_waiting_uploads(queue=queued.append, now=later)
    assert queued == [upload.pk]
    uploading.run_upload(upload_id=upload.pk, clock=lambda: later, time_is_up=never)
    upload.refresh_from_db()
    assert (upload.state, counts(upload)) == (UploadState.DONE, (6, 5, 0, 0, 1))
    assert tokens() == [1, 2, 3, 4, 5]
    assert len(queries.errors_of(upload).read_text().splitlines()) == 2


def test_a_long_file_is_imported_in_stretches() -> None:
    lines = [LINES[0], *(f"2026-02-01 00:00:00,acme,{n}" for n in range(450))]
    upload = receive(lines)
    check(upload)
    services.import_upload(upload=upload, user=None, queue=nowhere, now=NOW)
    left = [uploading.run_upload(upload_id=upload.pk, clock=clock, time_is_up=lambda: True) for _ in range(6)]
    upload.refresh_from_db()
    assert left[-1] is False
    assert (upload.state, counts(upload)) == (UploadState.DONE, (450, 450, 0, 0, 0))


def test_who_lost_the_lease_commits_nothing_more() -> None:
    upload = receive(LINES)
    first = leases.take(Upload, upload.pk, NOW)
    assert first is not None
    assert leases.take(Upload, upload.pk, NOW) is None
    assert leases.take(Upload, upload.pk, NOW + timedelta(minutes=4)) is not None
    with pytest.raises(LeaseLost):
        leases.renew(Upload, upload.pk, first, NOW)


def test_an_import_is_confirmed_once() -> None:
    upload = receive(LINES)
    with pytest.raises(NotNow):
        services.import_upload(upload=upload, user=None, queue=nowhere, now=NOW)
    check(upload)
    services.import_upload(upload=upload, user=None, queue=nowhere, now=NOW)
    with pytest.raises(NotNow, match="being imported"):
        services.import_upload(upload=upload, user=None, queue=nowhere, now=NOW)


def test_a_discarded_file_is_gone() -> None:
    upload = receive(LINES)
    services.discard_upload(upload=upload, now=NOW)
    assert not queries.path_of(upload).exists()
    with pytest.raises(NotNow):
        services.check_upload(upload=upload, mapping=MAPPING, queue=nowhere, now=NOW)


def test_files_are_kept_for_so_many_days_and_their_rows_for_ever() -> None:
    done, waiting = bring_in(receive([*LINES, "bad,acme,1"])), receive(LINES[:3], "other.csv")
    assert services.tidy(now=NOW + timedelta(days=29)) == 0
    assert services.tidy(now=NOW + timedelta(days=31)) == 2
    assert not queries.path_of(done).exists()
    assert not queries.errors_of(done).exists()
    waiting.refresh_from_db()
    assert waiting.state == UploadState.DISCARDED
    assert len(tokens()) == 5


def test_a_file_that_was_broken_meanwhile_ends_in_failed_with_the_reason() -> None:
    upload = receive(workbook(["time", "customer", "tokens"], ["2026-02-01 00:00:01", "acme", 1]), "usage.xlsx")
    queries.path_of(upload).write_bytes(b"PK\x03\x04 and nothing")
    check(upload)
    assert upload.state == UploadState.FAILED
    assert "cannot be read as a workbook" in upload.message


def test_a_mapping_that_does_not_fit_fails_and_can_be_mended() -> None:
    upload = receive(LINES)
    check(upload, MAPPING | {"data": {"x": "nowhere"}})
    assert (upload.state, upload.message) == (
        UploadState.FAILED, "The file has no column 'nowhere'; its columns are: time, customer, tokens.",
    )  # fmt: skip
    assert check(upload)["accepted"] == 5


def test_what_holds_no_rows_is_not_kept() -> None:
    with pytest.raises(SourceError, match="no rows below them"):
        receive(["time,customer"])
    assert not Upload.objects.exists()
    assert not list(queries.settings.UPLOAD_ROOT.glob("*"))


def test_rows_that_are_no_text_are_named_and_the_others_kept() -> None:
    good = [f"2026-02-01 00:00:00,acme,{n}" for n in range(3000)]
    text = "\n".join(
        [LINES[0], *good, "2026-02-01 00:00:00,acm\u00e9,1", "2026-02-01 00:00:00,ac\0me,1", "x" * 200_000]
    )
    upload = receive(text.encode("latin-1"))
    found = check(upload)
    assert [(row, code) for row, code, *_ in found["problems"]] == [
        (3001, "not_utf8"), (3002, "nul_character"), (3003, "invalid_csv"),
    ]  # fmt: skip
    assert counts(bring_in(receive(text.encode("latin-1")))) == (3003, 3000, 0, 0, 3)
