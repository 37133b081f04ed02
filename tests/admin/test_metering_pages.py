"""Months, ingest health and usage alerts, as Engineering sees and uses them."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.urls import reverse
from django_q.models import OrmQ

from billing.metering.alerts.models import UsageAlert
from billing.metering.alerts.services import open_alert
from billing.metering.months import admin as months_admin
from billing.metering.months import services
from billing.metering.months.models import EventMonth
from billing.metering.reports.models import EventReject
from billing.metering.rollups.services import catch_up
from billing.metering.services import create_api_key
from billing.metering.services import ingest as take
from config import clock
from tests import factories

pytestmark = pytest.mark.django_db
NOW = datetime(2024, 3, 1, 12, 34, 56, tzinfo=UTC)
HEALTH = "/admin/billing/eventmonth/health/"


@pytest.fixture(autouse=True)
def _at_noon(settings: Any, tmp_path: Path) -> Any:
    settings.ARCHIVE_DIR = tmp_path
    with clock.set_to(NOW):
        yield


def press(client: Any, name: str, thing: Any, **fields: Any) -> Any:
    """Submit the dialog of a button on a thing's page."""
    url = reverse(f"admin:{thing._meta.app_label}_{thing._meta.model_name}_{name}", args=[thing.pk])
    return client.post(url, {"_form_submitted": "True", **fields})


def said(response: Any) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def make_month() -> EventMonth:
    factories.send_events(subject="acme", time="2023-11-10T00:00:00Z", data={"tokens": 1})
    catch_up()
    return EventMonth.objects.get(month=date(2023, 11, 1))


def test_it_works(sign_in: Any) -> None:
    month, admin = make_month(), sign_in("admin")
    for verb, state in (("export", "exported"), ("detach", "detached"), ("restore", "exported")):
        page = admin.get(reverse("admin:billing_eventmonth_change", args=[month.pk])).content.decode()
        assert f"/{verb}" in page
        assert said(press(admin, verb, month)) == f"2023-11 is {'restored' if verb == 'restore' else f'{verb}ed'}."
        month.refresh_from_db()
        assert month.state == state


def test_buttons_are_those_that_the_state_allows(sign_in: Any) -> None:
    month, admin = make_month(), sign_in("admin")
    url = reverse("admin:billing_eventmonth_change", args=[month.pk])
    page = admin.get(url).content.decode()
    assert f"{month.pk}/export" in page
    assert f"{month.pk}/detach" not in page
    assert f"{month.pk}/restore" not in page
    assert "2023-11 is live. Export it first." in said(press(admin, "detach", month))


def test_a_large_month_is_the_worker_s(sign_in: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(months_admin, "AT_ONCE", 0)
    month, admin = make_month(), sign_in("admin")
    assert "Export of 2023-11 is queued" in said(press(admin, "export", month))
    (task,) = OrmQ.objects.all()
    assert task.task["func"] == "billing.metering.months.tasks.work"
    assert task.task["args"][:2] == ("export", "2023-11")
    page = admin.get(reverse("admin:billing_eventmonth_changelist")).content.decode()
    assert "Export waits for a worker (qcluster)" in page


def test_months_tell_late_events_and_trouble(sign_in: Any) -> None:
    month, admin = make_month(), sign_in("admin")
    services.export(month="2023-11", now=NOW)
    factories.send_events(subject="acme", time="2023-11-11T00:00:00Z", data={})
    url = reverse("admin:billing_eventmonth_changelist")
    assert "1 events came since the export" in admin.get(url).content.decode()
    services.give_up(month="2023-11", reason="The file is damaged.")
    assert "The file is damaged." in admin.get(url).content.decode()
    catch_up()
    services.export(month="2023-11", now=NOW)
    services.detach(month="2023-11", now=NOW)
    factories.send_events(subject="acme", time="2023-11-12T00:00:00Z", data={})
    assert "1 late" in admin.get(url).content.decode()
    assert month.pk == EventMonth.objects.get(month=date(2023, 11, 1)).pk


def test_outsiders_neither_see_nor_move_months(sign_in: Any) -> None:
    month, nobody = make_month(), sign_in("nobody")
    assert nobody.get(reverse("admin:billing_eventmonth_changelist")).status_code == 403
    assert press(nobody, "export", month).status_code == 403
    assert nobody.get(HEALTH).status_code == 403
    assert nobody.get(reverse("admin:billing_usagealert_changelist")).status_code == 403


def test_a_page_that_needs_a_detached_month_says_restore_first(sign_in: Any) -> None:
    make_month()
    services.export(month="2023-11", now=NOW)
    services.detach(month="2023-11", now=NOW)
    asked = {"kind": "void", "subject": "acme", "start": "2023-11-01T00:00:00Z", "end": "2023-12-01T00:00:00Z"}
    answer = sign_in("admin").post(reverse("admin:billing_correction_add"), asked | {"reason": "twice"})
    assert answer.status_code == 409
    assert "The events of 2023-11 lie in the archive" in answer.content.decode()


def test_ingest_health_without_anything_says_what_to_do(sign_in: Any) -> None:
    page = sign_in("admin").get(HEALTH).content.decode()
    assert "No events in the last day." in page
    assert "Make an API key first" in page
    assert "Nothing was refused." in page


def test_ingest_health_counts_what_came_and_what_waits(sign_in: Any) -> None:
    key, _ = create_api_key(name="Gateway", default_source="gateway", user=None, now=NOW)
    body = b'[{"id": "%d", "type": "t", "subject": "s", "time": "2024-02-01T00:00:00Z", "data": {}}]'
    for number, ago in enumerate((0, 1, 59, 61, 24 * 60 - 1, 25 * 60)):
        take(events=body % number, origin="api", key=key, now=NOW - timedelta(minutes=ago))
    EventReject.objects.create(
        hour=NOW.replace(minute=0, second=0), key=None, origin="api", code="missing_subject", count=7,
        last_at=NOW, last_message="It names no subject.", last_example="{}",
    )  # fmt: skip
    response = sign_in("admin").get(HEALTH)
    assert response.context["hour_total"] == "3"
    assert response.context["day_total"] == "5"
    assert [(f"{time:%H:%M}", events) for time, events in response.context["minutes"]["rows"]] == [
        ("12:34", "1"), ("12:33", "1"), ("11:35", "1"),
    ]  # fmt: skip
    assert response.context["lag"] == {"batches": "6", "events": "6", "seconds": "90,000", "behind": True}
    uses = [(row["use"].name, row["events"], row["rejects"]) for row in response.context["keys"]]
    assert uses == [("Gateway", "5", "0"), ("no key, or a wrong one", "0", "7")]
    page = response.content.decode()
    assert "It names no subject." in page
    assert '<meta http-equiv="refresh" content="15">' in page
    assert "http-equiv" not in sign_in_again(response, HEALTH + "?refresh=off")
    catch_up()
    assert response.client.get(HEALTH).context["lag"]["batches"] == "0"


def sign_in_again(response: Any, url: str) -> str:
    page: str = response.client.get(url).content.decode()
    return page


def test_ingest_health_reads_no_events(sign_in: Any, django_assert_max_num_queries: Any) -> None:
    admin = sign_in("admin")
    admin.get(HEALTH)
    connection.force_debug_cursor = True
    with django_assert_max_num_queries(14) as queries:
        admin.get(HEALTH)
    assert not [query for query in queries.captured_queries if "FROM metering_event" in query["sql"]]


def test_an_alert_is_acknowledged_with_what_was_found(sign_in: Any) -> None:
    alert = open_alert(kind="source_silent", source="nightly files", since=NOW, now=NOW)
    admin = sign_in("admin")
    assert alert is not None
    home = admin.get(reverse("admin:index"))
    assert [queue["count"] for queue in home.context["queues"] if queue["name"] == "Usage alerts"] == ["1"]
    press(admin, "acknowledge", alert, reason="The disk was full.")
    alert.refresh_from_db()
    assert (alert.acknowledgement, alert.acknowledged_at, alert.closed_at) == ("The disk was full.", NOW, None)
    home = admin.get(reverse("admin:index"))
    assert [queue["count"] for queue in home.context["queues"] if queue["name"] == "Usage alerts"] == ["0"]
    assert "already" in said(press(admin, "acknowledge", alert, reason="Again."))


def test_a_reason_is_needed(sign_in: Any) -> None:
    alert = open_alert(kind="source_silent", source="nightly files", since=NOW, now=NOW)
    press(sign_in("admin"), "acknowledge", alert, reason="")
    assert UsageAlert.objects.get().acknowledged_at is None


@pytest.mark.parametrize(("standing", "shown"), [("open", ["a"]), ("acknowledged", ["b"]), ("over", ["c"])])
def test_alerts_are_filtered_by_how_they_stand(standing: str, shown: list[str], sign_in: Any) -> None:
    for name in "abc":
        open_alert(kind="source_silent", source=name, since=NOW, now=NOW)
    UsageAlert.objects.filter(source="b").update(acknowledged_at=NOW)
    UsageAlert.objects.filter(source="c").update(closed_at=NOW)
    page = sign_in("admin").get(reverse("admin:billing_usagealert_changelist") + f"?standing={standing}")
    assert [alert.source for alert in page.context["cl"].result_list] == shown
