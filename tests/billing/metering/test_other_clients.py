"""Clients that people have already: OpenMeter's and Lago's own packages, moved here by a base URL and a key."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from corehttp.exceptions import ClientAuthenticationError, HttpResponseError
from lago_python_client.client import Client as Lago
from lago_python_client.exceptions import LagoApiError
from lago_python_client.models import BatchEvent
from lago_python_client.models import Event as LagoEvent
from openmeter import Client as OpenMeter
from openmeter.aio import Client as AsyncOpenMeter
from openmeter.models import Event as OpenMeterEvent

from billing.metering.models import Event
from billing.metering.reports.models import EventConflict
from tests.billing.metering.test_live_server import Server

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server(transactional_db: None) -> Iterator[Server]:
    running = Server()
    yield running
    running.process.terminate()
    running.process.wait(20)


def stored() -> list[tuple[Any, ...]]:
    rows = Event.objects.select_related("source", "type", "subject").order_by("id")
    return [(row.source.name, row.id, row.type.name, row.subject.name, row.data) for row in rows]


def openmeter_event(id: str, **fields: Any) -> OpenMeterEvent:
    given = {"source": "my-app", "specversion": "1.0", "type": "prompt", "subject": "acme", "data": {"tokens": 100}}
    return OpenMeterEvent(id=id, **(given | fields))


def lago_event(transaction_id: str, **fields: Any) -> LagoEvent:
    given = {"external_subscription_id": "sub_1", "code": "call", "timestamp": 1772366400, "properties": {"n": 1}}
    return LagoEvent(transaction_id=transaction_id, **(given | fields))


def test_openmeter_s_client_sends_one_and_many(server: Server) -> None:
    with OpenMeter(endpoint=f"http://127.0.0.1:{server.port}", token=server.secret) as client:
        assert client.events.ingest_event(openmeter_event("1", time=datetime(2026, 3, 1, 12, tzinfo=UTC))) is None
        client.events.ingest_events([openmeter_event("2"), openmeter_event("3", data=None, time=None)])
        client.events.ingest_events_json(openmeter_event("4"))
        client.events.ingest_events_json([openmeter_event("4"), openmeter_event("5", datacontenttype=None)])
    tokens = {"tokens": 100}
    assert stored() == [
        ("my-app", id, "prompt", "acme", {} if id == "3" else tokens) for id in ("1", "2", "3", "4", "5")
    ]
    assert Event.objects.get(id="1").ts == datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_openmeter_s_client_hears_what_is_wrong(server: Server) -> None:
    with OpenMeter(endpoint=f"http://127.0.0.1:{server.port}", token=server.secret) as client:
        client.events.ingest_event(openmeter_event("1"))
        with pytest.raises(HttpResponseError) as refused:
            client.events.ingest_events([openmeter_event("1", data={"tokens": 5}), openmeter_event("2")])
        assert refused.value.model.detail.startswith("1 of 2 events were not taken; the first, 0: An event with the id")
        assert refused.value.status_code == 400
        with pytest.raises(HttpResponseError, match="400"):
            client.events.ingest_event(openmeter_event("3", subject=""))
    assert [row[1] for row in stored()] == ["1", "2"]
    with (
        OpenMeter(endpoint=f"http://127.0.0.1:{server.port}", token="mb_abcdefgh_wrong") as client,
        pytest.raises(ClientAuthenticationError),
    ):
        client.events.ingest_event(openmeter_event("4"))


def test_openmeter_s_asynchronous_client_works_too(server: Server) -> None:
    async def send() -> None:
        async with AsyncOpenMeter(endpoint=f"http://127.0.0.1:{server.port}", token=server.secret) as client:
            await client.events.ingest_event(openmeter_event("1"))
            await client.events.ingest_events([openmeter_event("1"), openmeter_event("2")])

    asyncio.run(send())
    assert [row[1] for row in stored()] == ["1", "2"]


@pytest.mark.parametrize("slash", ["", "/"])
def test_lago_s_client_sends_one(server: Server, slash: str) -> None:
    client = Lago(api_key=server.secret, api_url=f"http://127.0.0.1:{server.port}{slash}")
    answer = client.events.create(lago_event("1", precise_total_amount_cents="1234.56"))
    assert answer is not None
    assert (answer.transaction_id, answer.external_subscription_id, answer.code) == ("1", "sub_1", "call")
    assert (answer.timestamp, answer.precise_total_amount_cents) == ("2026-03-01T12:00:00.000Z", "1234.56")
    assert stored() == [("app", "1", "call", "sub_1", {"n": 1, "precise_total_amount_cents": "1234.56"})]
    again = client.events.create(lago_event("1", precise_total_amount_cents="1234.56"))
    assert again is not None
    assert again.transaction_id == "1"
    assert Event.objects.count() == 1


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        (1772366400, datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("1772366400", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("1772366400.979960", datetime(2026, 3, 1, 12, 0, 0, 979960, tzinfo=UTC)),
        ("2026-03-01T12:00:00Z", datetime(2026, 3, 1, 12, tzinfo=UTC)),
    ],
)
def test_lago_s_timestamps_are_understood(server: Server, timestamp: Any, expected: datetime) -> None:
    client = Lago(api_key=server.secret, api_url=f"http://127.0.0.1:{server.port}")
    client.events.create(lago_event("1", timestamp=timestamp, properties=None))
    event = Event.objects.get()
    assert (event.ts, event.data) == (expected, {})


def test_lago_s_client_sends_many(server: Server) -> None:
    client = Lago(api_key=server.secret, api_url=f"http://127.0.0.1:{server.port}")
    events = [lago_event(str(n), timestamp=None if n % 2 else 1772366400 + n) for n in range(100)]
    assert client.events.batch_create(BatchEvent(events=events)) is None
    client.events.batch_create(BatchEvent(events=events))
    assert Event.objects.count() == 100


def test_lago_s_client_hears_what_is_wrong(server: Server) -> None:
    client = Lago(api_key=server.secret, api_url=f"http://127.0.0.1:{server.port}")
    client.events.create(lago_event("1"))
    with pytest.raises(LagoApiError) as one:
        client.events.create(lago_event("1", properties={"n": 2}))
    assert (one.value.status_code, one.value.response["code"]) == (422, "validation_errors")
    assert one.value.response["error_details"] == {"transaction_id": ["value_already_exist"]}
    bad = [lago_event("2"), lago_event("3", external_subscription_id=""), lago_event("4", timestamp="noon")]
    with pytest.raises(LagoApiError) as many:
        client.events.batch_create(BatchEvent(events=bad))
    assert many.value.response["error_details"] == {
        "1": {"external_subscription_id": ["value_is_mandatory"]},
        "2": {"timestamp": ["invalid_time"]},
    }
    assert [row[1] for row in stored()] == ["1", "2"]
    assert EventConflict.objects.get().sent["data"] == {"n": 2}
    with pytest.raises(LagoApiError) as refused:
        Lago(api_key="mb_abcdefgh_wrong", api_url=client.api_url).events.create(lago_event("5"))
    assert refused.value.status_code == 401
