"""Alerts open once, close by themselves, and are acknowledged by people; whatever the number of customers."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from billing.metering.alerts import services, tasks
from billing.metering.alerts.errors import AlreadyAcknowledged
from billing.metering.alerts.models import UsageAlert
from billing.metering.rollups.services import catch_up
from config import clock
from tests import factories

pytestmark = pytest.mark.django_db
MIDNIGHT = datetime(2024, 3, 1, tzinfo=UTC)
NOW = MIDNIGHT + timedelta(hours=6)


def use(subject: str, events: int, days_ago: int, times: int = 1) -> None:
    """Events of so many days, ending so many days before the day that is judged."""
    factories.send_events(
        [
            {"subject": subject, "time": (MIDNIGHT - timedelta(days=1 + ago, minutes=-number)).isoformat(),
             "data": {"tokens": 10}}
            for ago in range(days_ago, days_ago + times) for number in range(events)
        ],
        now=NOW,
    )  # fmt: skip
    catch_up()


def standing() -> list[tuple[str, str, bool]]:
    """Kind, customer, and whether it is open."""
    alerts = UsageAlert.objects.order_by("pk")
    return [(alert.kind, alert.customer.external_id, alert.closed_at is None) for alert in alerts if alert.customer]


def test_it_works() -> None:
    factories.make_meter()
    factories.make_customer("acme")
    use("acme", 25, days_ago=1, times=28)
    use("acme", 100, days_ago=0)
    (alert,) = services.evaluate(now=NOW)
    assert (alert.kind, alert.expected, alert.seen) == ("jump", 250, 1000)
    assert alert.since == MIDNIGHT - timedelta(days=1)
    assert str(alert) == "Usage jumped: Customer acme, Tokens"


def test_the_same_condition_does_not_open_twice() -> None:
    factories.make_meter()
    factories.make_customer("acme")
    use("acme", 5, days_ago=2, times=20)
    assert len(services.evaluate(now=NOW)) == 1
    assert services.evaluate(now=NOW) == []
    assert services.evaluate(now=NOW + timedelta(days=1)) == []
    assert standing() == [("stop", "acme", True)]
    alert = UsageAlert.objects.get()
    with pytest.raises(IntegrityError, match="usagealert_open_once"), transaction.atomic():
        UsageAlert.objects.create(
            kind="stop", customer=alert.customer, meter=alert.meter, source="", since=NOW, opened_at=NOW
        )


def test_a_stop_lasts_until_usage_is_back() -> None:
    factories.make_meter()
    factories.make_customer("acme")
    use("acme", 5, days_ago=2, times=20)
    services.evaluate(now=NOW)
    assert UsageAlert.objects.get().since == MIDNIGHT - timedelta(days=2)
    for later in (10, 25, 60):  # the history has forgotten the usage by then, the alert has not
        services.evaluate(now=NOW + timedelta(days=later))
    assert standing() == [("stop", "acme", True)]
    factories.send_events(subject="acme", time="2024-03-01T01:00:00Z", data={"tokens": 1}, now=NOW)
    catch_up()
    services.evaluate(now=NOW + timedelta(days=1))
    assert standing() == [("stop", "acme", False)]


def test_a_jump_is_over_when_the_day_is_as_usual() -> None:
    factories.make_meter()
    factories.make_customer("acme")
    use("acme", 25, days_ago=2, times=27)
    use("acme", 100, days_ago=1)
    use("acme", 25, days_ago=0)
    services.evaluate(now=NOW - timedelta(days=1))
    assert standing() == [("jump", "acme", True)]
    services.evaluate(now=NOW)
    assert standing() == [("jump", "acme", False)]


def test_who_claims_nothing_any_more_has_not_stopped() -> None:
    factories.make_meter()
    customer = factories.make_customer("acme")
    use("acme", 5, days_ago=3, times=20)
    customer.subjects.update(valid_to=MIDNIGHT - timedelta(days=3))
    assert services.evaluate(now=NOW) == []
    customer.subjects.update(valid_to=None)
    assert len(services.evaluate(now=NOW)) == 1
    customer.subjects.update(valid_to=MIDNIGHT)
    services.evaluate(now=NOW + timedelta(days=2))
    assert standing() == [("stop", "acme", False)]


def test_queries_do_not_grow_with_customers() -> None:
    factories.make_meter()

    def cost(first: int, last: int) -> int:
        for number in range(first, last):
            factories.make_customer(f"c-{number}")
            use(f"c-{number}", 1, days_ago=2, times=10)
        with CaptureQueriesContext(connection) as queries:
            assert len(services.evaluate(now=NOW)) == last - first
        return len(queries)

    assert cost(0, 2) == cost(2, 12)


def test_whoever_looked_into_it_says_what_was_found() -> None:
    user = User.objects.create_user("eve")
    alert = services.open_alert(kind="source_silent", source="nightly files", since=NOW, now=NOW)
    assert alert is not None
    assert services.open_alert(kind="source_silent", source="nightly files", since=NOW, now=NOW) is None
    assert services.acknowledge(alert_ids=[alert.pk], reason="Disk was full.", user=user, now=NOW) == 1
    with pytest.raises(AlreadyAcknowledged, match="“Source silent: nightly files” is acknowledged already"):
        services.acknowledge(alert_ids=[alert.pk], reason="Again.", user=user, now=NOW)
    alert.refresh_from_db()
    assert (alert.acknowledgement, alert.acknowledged_by, alert.closed_at) == ("Disk was full.", user, None)
    assert services.close_alerts(kind="source_silent", source="nightly files", now=NOW) == 1
    assert services.open_alert(kind="source_silent", source="nightly files", since=NOW, now=NOW) is not None


@pytest.mark.parametrize("wrong", [{"kind": "source_silent"}, {"kind": "stop"}, {"kind": "jump", "source": "x"}])
def test_an_alert_is_about_something(wrong: dict[str, str]) -> None:
    with pytest.raises(IntegrityError, match="usagealert_of_something"), transaction.atomic():
        UsageAlert.objects.create(**({"source": ""} | wrong), since=NOW, opened_at=NOW)


def test_new_alerts_are_mailed_once(settings: Any) -> None:
    settings.USAGE_ALERT_EMAILS = ["ops@example.com"]
    factories.make_meter()
    factories.make_customer("acme")
    use("acme", 5, days_ago=2, times=20)
    with clock.set_to(NOW):
        assert tasks.evaluate() == 1
        assert tasks.evaluate() == 0
    (sent,) = mail.outbox
    assert sent.to == ["ops@example.com"]
    assert sent.subject == "Usage stopped: Customer acme, Tokens, since 2024-02-28 (0 instead of about 50 tokens a day)"
