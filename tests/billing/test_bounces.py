"""Mail that came back, told by POST: who may tell it, what is understood, and what is refused with which sentence."""

import json
from typing import Any

import pytest
from django.test import Client

from billing.invoicing.delivery.bounces import NoBounce, read_bounce
from billing.invoicing.delivery.models import Delivery
from billing.invoicing.delivery.services import send_invoices
from billing.invoicing.delivery.states import DeliveryState
from billing.metering import keys, services
from tests.billing.issued import NOW, make_issued
from tests.billing.test_mail_server import REPORT


@pytest.fixture
def delivery(settings: Any, tmp_path: Any) -> Delivery:
    """A message that was sent."""
    settings.MEDIA_ROOT = tmp_path
    send_invoices(invoice_ids=[make_issued().pk], user=None, now=NOW)
    return Delivery.objects.get()


def tell(content: Any, kind: str = "application/json", scope: str = keys.BOUNCES) -> Any:
    """The answer to a report, sent with a key of that scope."""
    _, secret = services.create_api_key(name="mail", default_source="mail", scopes=[scope], user=None, now=NOW)
    body = content if isinstance(content, str | bytes) else json.dumps(content)
    return Client().post("/mail/bounces", body, content_type=kind, headers={"Authorization": f"Bearer {secret}"})


@pytest.mark.django_db
def test_it_works(delivery: Delivery) -> None:
    told = {"message_id": delivery.message_id.strip("<>"), "address": "ap@acme.example", "reason": "550 no such user"}
    for _ in range(2):
        answer = tell(told)
        assert answer.status_code == 200
        assert json.loads(answer.content) == {
            "invoice": "INV-000001", "state": "bounced", "addresses": ["ap@acme.example"],
        }  # fmt: skip
    delivery.refresh_from_db()
    assert (delivery.state, delivery.refused) == (DeliveryState.BOUNCED, {"ap@acme.example": "550 no such user"})


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["message/rfc822", "multipart/report; boundary=b"])
def test_a_mail_server_hands_over_its_report_as_it_is(delivery: Delivery, kind: str) -> None:
    assert tell(REPORT.format(action="failed", message_id=delivery.message_id), kind).status_code == 200
    delivery.refresh_from_db()
    assert delivery.refused == {"ap@acme.example": "550 5.1.1 no such mailbox"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        ({"message_id": "<1@x>", "address": "a@b.example"}, "application/json", 404, "unknown_message"),
        ({"message_id": "a\0\ud800b", "address": "\0x\ud800"}, "application/json", 404, "unknown_message"),
        ({"address": "a@b.example"}, "application/json", 400, "no_bounce"),
        ({"message_id": 7, "address": "a@b.example"}, "application/json", 400, "no_bounce"),
        ([], "application/json", 400, "no_bounce"),
        ("{", "application/json", 400, "no_bounce"),
        ("[" * 100_000, "application/json", 400, "no_bounce"),
        ("Subject: Hello\n\nHello", "message/rfc822", 400, "no_bounce"),
        ("x", "text/plain", 415, "unsupported_type"),
    ],
)
def test_what_is_no_report_of_ours_is_answered_with_the_reason(content: Any, kind: str, status: int, code: str) -> None:
    answer = tell(content, kind)
    assert (answer.status_code, json.loads(answer.content)["code"]) == (status, code)


@pytest.mark.django_db
def test_only_a_key_for_it_may_tell(delivery: Delivery) -> None:
    told = {"message_id": delivery.message_id, "address": "ap@acme.example"}
    assert Client().post("/mail/bounces", told, content_type="application/json").status_code == 401
    assert tell(told, scope=keys.INGEST).status_code == 403
    assert Client().get("/mail/bounces").status_code == 405
    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.SENT


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\xff\xfe\x00", b"Content-Type: message/delivery-status\n\n", b"Message-ID: <\n\nx",
        b"Content-Type: message/delivery-status\nContent-Transfer-Encoding: base64\n\n\xff\xff",
        b"Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n--b--",
    ],
)  # fmt: skip
def test_rubbish_is_no_report(content: bytes) -> None:
    with pytest.raises(NoBounce):
        read_bounce(content)


def test_a_report_with_bytes_of_no_charset_is_read_as_far_as_it_goes() -> None:
    report = REPORT.format(action="failed", message_id="<1@x>").encode().replace(b"no such", b"no \xff\x00such")
    ((address, reason),) = read_bounce(report).reasons.items()
    assert address == "ap@acme.example"
    assert reason.isprintable()
    assert "such mailbox" in reason
