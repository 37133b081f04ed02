"""Uploads and pull sources in the back office: step by step, by those who may, with a word for every mistake."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.metering.models import Event
from billing.metering.sources import tasks
from billing.metering.sources.models import PullRun, PullSource, Upload
from billing.metering.sources.states import UploadState
from customers.backoffice import change_url
from tests import factories

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CSV = "time;customer;tokens\n2026-02-01 00:00:01;acme;5\n2026-02-01 00:00:02;acme;7\nyesterday;acme;1\n"
COLUMNS = {
    "role_0": "time", "role_1": "subject", "role_2": "property", "name_2": "tokens", "kind_0": "auto", "kind_1": "auto",
    "kind_2": "number", "zone": "UTC", "event_type": "inference", "subject": "", "ids": "row", "source": "exports",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, settings: Any) -> None:
    settings.UPLOAD_ROOT = tmp_path / "uploads"
    settings.METERBOOK_PULL_ROOTS = [str(tmp_path / "incoming")]
    (tmp_path / "incoming").mkdir()


@pytest.fixture
def clerk(db: None) -> Callable[..., Client]:
    """Somebody of the staff who holds just these permissions."""

    def sign_in(*permissions: str) -> Client:
        user = User.objects.create_user("clerk", password="x", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def engineer(clerk: Callable[..., Client]) -> Client:
    """Who may upload and set up sources."""
    names = [f"{verb}_{model}" for verb in ("view", "add", "change") for model in ("upload", "pullsource")]
    return clerk(*names)


def send(client: Client, content: str | bytes = CSV, name: str = "usage.csv") -> Any:
    data = content.encode() if isinstance(content, str) else content
    return client.post(reverse("admin:billing_upload_add"), {"file": SimpleUploadedFile(name, data)})


def step(client: Client, upload: Upload, name: str) -> Any:
    return client.post(reverse("admin:billing_upload_step", args=[upload.pk]), {name: "1"})


def press(client: Client, button: str, source: PullSource) -> Any:
    """Send a button's dialog off."""
    return client.post(reverse(f"admin:billing_pullsource_{button}", args=[source.pk]), {"_form_submitted": "True"})


def columns(client: Client, upload: Upload, **changes: str) -> Any:
    return client.post(reverse("admin:billing_upload_columns", args=[upload.pk]), COLUMNS | {"go": "1"} | changes)


def test_it_works(engineer: Client) -> None:
    factories.make_meter()
    factories.make_customer("acme")
    assert send(engineer)["Location"] == reverse("admin:billing_upload_columns", args=[Upload.objects.get().pk])
    upload = Upload.objects.get()
    page = engineer.get(reverse("admin:billing_upload_columns", args=[upload.pk]))
    assert page.context["form"].columns()[0]["role"].initial == "time"
    assert columns(engineer, upload)["Location"] == change_url(upload)
    assert "Being checked" in engineer.get(change_url(upload)).content.decode()
    tasks.upload(upload.pk)
    checked = engineer.get(change_url(upload)).content.decode()
    assert "Nothing is stored yet" in checked
    assert "+12 token" in checked
    assert "&#x27;yesterday&#x27; is no time" in checked
    assert not Event.objects.exists()
    step(engineer, upload, "import")
    tasks.upload(upload.pk)
    done = engineer.get(change_url(upload)).content.decode()
    assert "which can be taken back as a whole" in done
    assert Event.objects.count() == 2
    errors = engineer.get(reverse("admin:billing_upload_errors", args=[upload.pk]))
    assert b"".join(errors.streaming_content).decode().splitlines()[1].startswith("usage.csv,3,invalid_time,")  # type: ignore[attr-defined]


def test_the_first_rows_are_shown_as_they_would_be_read(engineer: Client) -> None:
    send(engineer)
    upload = Upload.objects.get()
    page = engineer.post(
        reverse("admin:billing_upload_columns", args=[upload.pk]), COLUMNS | {"zone": "Asia/Kathmandu"}
    )
    rows = page.context["rows"]
    assert [row.time and row.time.isoformat() for row in rows] == [
        "2026-01-31T18:15:01+00:00", "2026-01-31T18:15:02+00:00", None,
    ]  # fmt: skip
    assert (rows[0].subject, rows[0].type, rows[0].id, rows[0].data) == ("acme", "inference", "1", "tokens: 5")
    assert rows[2].problem.startswith("'yesterday' is no time")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"role_0": "none"}, "No column is the time of the event"),
        ({"role_1": "none"}, "No column is the subject; choose one above"),
        ({"event_type": ""}, "No column is the type; choose one above"),
        ({"subject": "acme"}, "The column customer is the subject already"),
        ({"role_2": "time"}, "time is the time already; only one column can be"),
        ({"name_2": "a.b"}, "Meters read a point as a path; write a_b."),
        ({"name_2": ""}, "Name the property, or do not use the column."),
        ({"zone": "Mars"}, "Mars is no time zone"),
        ({"source": ""}, "This field is required."),
    ],
)
def test_columns_that_make_no_events_are_marked_at_their_place(
    changes: dict[str, str], sentence: str, engineer: Client
) -> None:
    send(engineer)
    page = columns(engineer, Upload.objects.get(), **changes)
    assert page.status_code == 200
    assert sentence in page.content.decode()
    assert Upload.objects.get().state == UploadState.MAPPING


def test_another_delimiter_can_be_chosen(engineer: Client) -> None:
    send(engineer, "a,b;c\n1,2;3\n")
    upload = Upload.objects.get()
    page = engineer.post(reverse("admin:billing_upload_columns", args=[upload.pk]), {"read": "1", "delimiter": ";"})
    assert [column["name"] for column, _ in page.context["columns"]] == ["a,b", "c"]


def test_a_file_that_cannot_be_read_is_refused_where_it_was_chosen(engineer: Client, settings: Any) -> None:
    assert "is no CSV file or workbook" in send(engineer, CSV, "usage.pdf").content.decode()
    assert "The file is empty" in send(engineer, "", "usage.csv").content.decode()
    settings.METERBOOK_UPLOAD_LIMIT_BYTES = 50
    assert "at most 50 can be uploaded" in send(engineer).content.decode()
    assert not Upload.objects.exists()


def test_a_file_can_be_discarded_and_an_import_is_confirmed_once(engineer: Client) -> None:
    send(engineer)
    send(engineer)
    first, second = Upload.objects.order_by("pk")
    assert "discarded" in engineer.get(step(engineer, first, "discard")["Location"]).content.decode()
    columns(engineer, second)
    tasks.upload(second.pk)
    step(engineer, second, "import")
    again = engineer.get(step(engineer, second, "import")["Location"]).content.decode()
    assert "being imported. Look at it again." in again


def test_who_may_only_look_can_neither_upload_nor_steer(clerk: Callable[..., Client], tmp_path: Path) -> None:
    upload = Upload.objects.create(
        name="u.csv", size=1, sha256="", uploaded_at=NOW, state=UploadState.CHECKED, checked={}
    )
    source = PullSource.objects.create(name="s", address="/x", next_due_at=NOW, created_at=NOW, mapping={"columns": {}})
    client = clerk("view_upload", "view_pullsource")
    assert client.get(change_url(upload)).status_code == 200
    assert "Import</button>" not in client.get(change_url(upload)).content.decode()
    assert client.get(change_url(source)).status_code == 200
    refused = [
        send(client), step(client, upload, "import"), columns(client, upload),
        client.get(reverse("admin:billing_pull_columns", args=[source.pk])),
        press(client, "run_now", source), press(client, "pause", source),
    ]  # fmt: skip
    assert [answer.status_code for answer in refused] == [403] * 6


def test_who_may_nothing_sees_nothing(clerk: Callable[..., Client]) -> None:
    upload = Upload.objects.create(name="u.csv", size=1, sha256="", uploaded_at=NOW)
    run = PullRun.objects.create(
        source=PullSource.objects.create(name="s", address="/x", next_due_at=NOW, created_at=NOW), started_at=NOW
    )
    client = clerk()
    pages = [
        reverse("admin:billing_upload_changelist"), reverse("admin:billing_pullsource_changelist"), change_url(upload),
        reverse("admin:billing_upload_errors", args=[upload.pk]), reverse("admin:billing_pull_errors", args=[run.pk]),
    ]  # fmt: skip
    assert [client.get(page).status_code for page in pages] == [403] * 5


def form(**changes: Any) -> dict[str, Any]:
    given = {
        "name": "Exports", "kind": "files", "address": "", "options": "{}", "every": "15", "unit": "minutes",
        "next_due_at_0": "2026-03-01", "next_due_at_1": "00:00:00",
    }  # fmt: skip
    return given | changes


def test_a_source_is_made_mapped_tried_and_run(engineer: Client, tmp_path: Path) -> None:
    (tmp_path / "incoming" / "a.csv").write_text(CSV)
    answer = engineer.post(reverse("admin:billing_pullsource_add"), form(address=str(tmp_path / "incoming")))
    source = PullSource.objects.get()
    assert answer["Location"] == reverse("admin:billing_pull_columns", args=[source.pk])
    assert "yesterday" in engineer.get(answer["Location"]).content.decode()
    engineer.post(answer["Location"], COLUMNS | {"go": "1"})
    assert press(engineer, "dry_run", source)["HX-Redirect"] == change_url(source)
    tasks.pull(source.pk, None, True)
    assert not Event.objects.exists()
    tasks.pull(source.pk)
    page = engineer.get(change_url(source)).content.decode()
    assert "(dry run)" in page
    assert "New rows" in page
    assert Event.objects.count() == 2
    run = source.runs.latest("pk")
    errors = engineer.get(reverse("admin:billing_pull_errors", args=[run.pk]))
    assert b"a.csv,3,invalid_time" in b"".join(errors.streaming_content)  # type: ignore[attr-defined]


def test_a_source_is_paused_and_resumed(engineer: Client) -> None:
    source = PullSource.objects.create(name="s", address="/x", next_due_at=NOW, created_at=NOW, mapping={"columns": {}})
    press(engineer, "pause", source)
    assert "Paused" in engineer.get(change_url(source)).content.decode()
    press(engineer, "go_on", source)
    source.refresh_from_db()
    assert not source.paused


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"address": "/etc"}, "which METERBOOK_PULL_ROOTS allows"),
        ({"address": "http://host/x.csv"}, "Files cannot be fetched by http://"),
        ({"address": "sftp://me:hush@host/x"}, "The password is written out"),
        ({"address": "s3://b", "options": '{"secret": "hush"}'}, "The option secret is written out"),
        ({"kind": "sql", "address": "mysql://host/db", "query": "SELECT 1"}, "Rows are fetched from PostgreSQL"),
        ({"kind": "sql", "address": "postgres://host/db", "query": "SELECT 1"}, "The query never says :position"),
        ({"kind": "sql", "address": "postgres://host/db"}, "Write the query"),
        ({"kind": "sql", "address": "postgres://host/db"}, "Name the column that the query is ordered by."),
        ({"address": "s3://b", "every": "0"}, "The interval is at least 1."),
    ],
)
def test_a_source_that_may_not_be_is_refused_at_its_field(
    changes: dict[str, str], sentence: str, engineer: Client
) -> None:
    page = engineer.post(reverse("admin:billing_pullsource_add"), form(**changes))
    assert sentence in page.content.decode()
    assert "hush" not in str(PullSource.objects.values())
    assert not PullSource.objects.exists()


def test_an_address_is_held_against_the_rules_when_it_is_changed_too(engineer: Client, tmp_path: Path) -> None:
    source = PullSource.objects.create(
        name="s", address=str(tmp_path / "incoming"), next_due_at=NOW, created_at=NOW, position="5"
    )
    assert "METERBOOK_PULL_ROOTS" in engineer.post(change_url(source), form(address="/etc")).content.decode()
    inlines = {f"{name}-{key}": "0" for name in ("runs", "files") for key in ("TOTAL_FORMS", "INITIAL_FORMS")}
    engineer.post(change_url(source), form(address=str(tmp_path / "incoming" / "*.csv"), name="t") | inlines)
    source.refresh_from_db()
    assert (source.name, source.address) == ("t", str(tmp_path / "incoming" / "*.csv"))


def test_the_home_page_counts_sources_in_trouble(engineer: Client, sign_in: Any) -> None:
    client = sign_in("admin")
    assert "Pull sources in trouble" not in client.get(reverse("admin:index")).content.decode()
    PullSource.objects.create(name="s", address="/x", next_due_at=NOW, created_at=NOW, failures=3)
    PullSource.objects.create(name="t", address="/x", next_due_at=NOW, created_at=NOW, silent_since=NOW)
    queue = next(each for each in client.get(reverse("admin:index")).context["queues"] if "Pull" in each["name"])
    assert (queue["count"], queue["lines"]) == ("2", ["1 failing", "1 silent"])


@pytest.mark.parametrize("count", [3, 30])
def test_lists_cost_the_same_number_of_queries_however_long_they_are(count: int, sign_in: Any) -> None:
    client = sign_in("admin")
    for n in range(count):
        Upload.objects.create(name=f"{n}.csv", size=1, sha256="", uploaded_at=NOW, uploaded_by=User.objects.get())
        source = PullSource.objects.create(name=f"s{n}", address="/x", next_due_at=NOW, created_at=NOW)
        PullRun.objects.create(source=source, started_at=NOW)
    for n in range(count):
        PullRun.objects.create(source=source, started_at=NOW + timedelta(minutes=n), finished_at=NOW, errors_bytes=1)
        source.files.create(path=f"{n}.csv")
    pages = {
        reverse("admin:billing_upload_changelist"): 5,
        reverse("admin:billing_pullsource_changelist"): 5,
        change_url(source): 8,
    }
    found = {}
    for page in pages:
        client.get(page)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(page).status_code == 200
        found[page] = len(queries)
    assert found == pages
