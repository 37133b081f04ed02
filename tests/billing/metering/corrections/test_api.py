"""Corrections and backfills by API."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from billing.metering import keys, services
from billing.metering.corrections.models import Backfill, Correction
from billing.metering.models import ApiKey, Meter
from billing.metering.rollups import services as rollups
from tests.factories import make_customer, send_events

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 10, tzinfo=UTC)
PERIOD = {"start": "2026-03-01T00:00:00Z", "end": "2026-04-01T00:00:00Z"}


@pytest.fixture
def secret() -> str:
    """A key that may do everything; and a customer with two events."""
    make_customer("acme")
    Meter.objects.create(code="n", name="N", event_type="call", aggregation="sum", value="n")
    send_events(
        [
            {"id": f"{n}", "type": "call", "subject": "acme", "time": "2026-03-05T10:00:00Z", "data": {"n": n}}
            for n in (5, 7)
        ],
        source="app",
        now=NOW,
    )
    rollups.catch_up()
    _, made = services.create_api_key(
        name="ops", default_source="app", scopes=[keys.INGEST, keys.READ, keys.CORRECT], user=None, now=NOW
    )
    return made


def post(secret: str, path: str, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    text = body if isinstance(body, str) else json.dumps(body)
    sent = {"Authorization": f"Bearer {secret}"} | headers
    answer = Client().post(f"/api/v1/{path}", text, content_type="application/json", headers=sent)
    return answer.status_code, json.loads(answer.content)


def correct(secret: str, **body: Any) -> tuple[int, dict[str, Any]]:
    return post(secret, "corrections", {"reason": "sent twice"} | body)


def used(secret: str) -> str:
    query = "customer=acme&meter=n&start=2026-03-01&end=2026-04-01"
    answer = Client().get(f"/api/v1/usage?{query}", headers={"Authorization": f"Bearer {secret}"})
    return str(json.loads(answer.content)["rows"][0]["quantity"])


def test_it_works(secret: str) -> None:
    status, made = correct(secret, kind="void", criteria={"ids": ["5"], "source": "app"})
    assert (status, made["kind"], made["events"], used(secret)) == (201, "void", 1, "7")
    correction = Correction.objects.get()
    assert (correction.reason, correction.created_by, correction.api_key) == (
        "sent twice", None, ApiKey.objects.get()
    )  # fmt: skip
    status, undone = correct(secret, kind="undo", correction=made["id"])
    assert (status, undone["kind"], used(secret)) == (201, "undo", "12")
    assert correct(secret, kind="undo", correction=made["id"])[0] == 409


def test_a_dry_run_tells_and_stores_nothing(secret: str) -> None:
    asked = {"kind": "replace", "criteria": {"subject": "acme"} | PERIOD, "changes": {"data": {"n": 1}}}
    status, told = correct(secret, **asked, dry_run=True)
    assert (status, told["events"], told["types"], told["subjects"]) == (200, 2, ["call"], ["acme"])
    assert told["effects"] == [
        {"customer": "acme", "meter": "n", "month": "2026-03", "before": "12", "after": "2"}
    ]  # fmt: skip
    assert (used(secret), Correction.objects.count()) == ("12", 0)
    assert correct(secret, **asked, expected=1)[1]["code"] == "cannot_correct"
    assert correct(secret, **asked, expected=2)[0] == 201
    assert used(secret) == "2"


def test_a_backfill_is_sent_and_reverted(secret: str) -> None:
    status, made = post(secret, "backfills", {"name": "February", "reason": "outage"})
    assert status == 201
    old = {"id": "9", "type": "call", "subject": "acme", "time": "2026-03-02T00:00:00Z", "data": {"n": 100}}
    header = {"Meterbook-Backfill": str(made["id"])}
    assert post(secret, "events", [old], **header)[1]["accepted"] == 1
    assert used(secret) == "112"
    assert correct(secret, kind="revert", backfill=made["id"])[0] == 201
    assert used(secret) == "12"
    assert Backfill.objects.get().api_key == ApiKey.objects.get()
    status, refused = post(secret, "events", [old], **{"Meterbook-Backfill": "999"})
    assert (status, refused["code"]) == (404, "unknown_backfill")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"kind": "erase"}, 400, "invalid_kind"),
        ({"kind": "void"}, 400, "invalid_criteria"),
        ({"kind": "void", "criteria": {}}, 400, "invalid_start"),
        ({"kind": "void", "criteria": {"ids": ["x"], "source": "app"}}, 404, "nothing_to_correct"),
        ({"kind": "void", "criteria": PERIOD, "reason": ""}, 409, "cannot_correct"),
        ({"kind": "replace", "criteria": PERIOD}, 400, "invalid_changes"),
        ({"kind": "undo"}, 400, "invalid_correction"),
        ({"kind": "undo", "correction": 10**30}, 404, "not_found"),
        ({"kind": "revert", "backfill": True}, 400, "invalid_backfill"),
        ({"kind": "void", "criteria": PERIOD, "all": 1}, 400, "invalid_all"),
        ({"kind": "void", "criteria": {"subject": "\0"} | PERIOD}, 400, "nul_character"),
    ],
)
def test_what_cannot_be_done_is_told(secret: str, body: dict[str, Any], status: int, code: str) -> None:
    answered, told = correct(secret, **body)
    assert (answered, told["code"]) == (status, code)
    assert used(secret) == "12"


def test_a_body_that_is_no_object_is_told(secret: str) -> None:
    assert post(secret, "corrections", "[")[1]["code"] == "invalid_json"
    assert post(secret, "corrections", "[]")[1]["code"] == "not_an_object"


def test_a_key_that_only_sends_may_not_correct(secret: str) -> None:
    _, other = services.create_api_key(name="app", default_source="app", user=None, now=NOW)
    status, told = correct(other, kind="void", criteria=PERIOD)
    assert (status, told["code"]) == (403, "insufficient_scope")
