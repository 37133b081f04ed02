"""A month goes into a file and comes back exactly; while it is away nothing counts it as zero, and nothing is lost."""

import gzip
import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.metering import listing, partitions, queries, store
from billing.metering.asking import Request
from billing.metering.corrections import services as corrections
from billing.metering.corrections.criteria import Criteria
from billing.metering.explorer.events import latest
from billing.metering.models import Meter
from billing.metering.months import services
from billing.metering.months.errors import (
    ArchiveDamaged,
    MonthDetached,
    MonthNotOver,
    MonthNotReady,
    NoSuchMonth,
)  # fmt: skip
from billing.metering.months.models import EventMonth
from billing.metering.months.queries import require, sizes
from billing.metering.months.tasks import work
from billing.metering.rollups.models import PendingBatch
from billing.metering.rollups.services import build_missing, catch_up
from billing.metering.services import IngestReport, ingest
from billing.periods import Period
from config import clock
from customers.models import Customer
from tests import factories
from tests.billing.metering.months.helpers import MONTH, NOVEMBER, NOW, OCTOBER, event, rows, send

pytestmark = pytest.mark.django_db


def away() -> EventMonth:
    """November, exported and detached."""
    services.export(month=MONTH, now=NOW)
    return services.detach(month=MONTH, now=NOW)


def test_it_works(archive: Path) -> None:
    send(1, 2, 3)
    before = rows()
    assert away().state == "detached"
    assert rows() == []
    assert not partitions.exists(MONTH)
    month = services.restore(month=MONTH, now=NOW)
    assert rows() == before
    assert (month.state, month.events) == ("exported", 3)


def test_a_file_holds_what_its_manifest_says(archive: Path) -> None:
    send(1, 1500)
    month = services.export(month=MONTH, now=NOW)
    path = archive / month.file
    manifest = json.loads((archive / f"{month.file.removesuffix('.ndjson.gz')}.manifest.json").read_text())
    assert manifest["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest() == month.sha256
    assert (manifest["month"], manifest["events"], manifest["size"]) == (MONTH, 2, path.stat().st_size)
    assert (manifest["first"], manifest["last"]) == ("2023-11-01T00:01:00.000001Z", "2023-11-02T01:00:00.001500Z")
    assert manifest["made_at"] == "2024-03-01T12:00:00+00:00"
    lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    assert [list(line) for line in lines] == [manifest["columns"]] * 2
    assert [line["id"] for line in lines] == ["e1", "e1500"]
    assert month.first_at == datetime(2023, 11, 1, 0, 1, 0, 1, tzinfo=UTC)


def test_the_same_events_make_the_same_file(archive: Path) -> None:
    send(1, 2)
    first = services.export(month=MONTH, now=NOW)
    again = services.export(month=MONTH, now=NOW + timedelta(days=1))
    assert (again.file, again.sha256) == (first.file, first.sha256)


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)
numbers = st.one_of(
    st.integers(-(10**200), 10**200),
    st.decimals(allow_nan=False, allow_infinity=False, places=30),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), texts, numbers),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)


def as_json(value: Any) -> str:
    """JSON with every digit of a decimal."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, list):
        return f"[{','.join(map(as_json, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{as_json(each)}" for key, each in value.items()) + "}"
    return json.dumps(value)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(texts, texts, texts, texts, st.dictionaries(texts, values, max_size=3), st.integers(0, 43_199)),
        min_size=1, max_size=6,
    )
)  # fmt: skip
def test_odd_data_comes_back_exactly(odd: list[Any]) -> None:
    body = [
        "{" + f'"id":{json.dumps(id_)},"source":{json.dumps(source)},"type":{json.dumps(type_)},'
        f'"subject":{json.dumps(subject)},"time":"{event(minute)["time"]}","data":{as_json(data)}' + "}"
        for id_, source, type_, subject, data, minute in odd
    ]  # fmt: skip
    with transaction.atomic():
        report = take(f"[{','.join(body)}]".encode())
        PendingBatch.objects.all().delete()
        before = rows()
        assert len(before) == report.accepted
        away()
        assert rows() == []
        services.restore(month=MONTH, now=NOW)
        assert rows() == before
        transaction.set_rollback(True)


def take(body: bytes) -> IngestReport:
    return ingest(events=body, origin="test", default_source="test", now=NOW)


def test_numbers_and_control_characters_keep_every_digit_and_sign() -> None:
    huge = "9" * 400 + ".0010"
    data = f'{{"n": 1.000, "huge": {huge}, "tiny": 1e-300, "t": "a\\tb\\n\\\\.\\u0001\\u2028\\"", "x": "\\\\N"}}'
    names = r'"id": "tab\tand\nline\\N", "type": "t", "subject": "\\."'
    body = f'[{{{names}, "time": "2023-11-05T00:00:00Z", "data": {data}}}]'
    assert take(body.encode()).accepted == 1
    catch_up()
    before = rows()
    away()
    services.restore(month=MONTH, now=NOW)
    assert rows() == before


def request_for(customer: Customer, period: Period) -> Request:
    return Request(customer.pk, queries.claims_of([customer.pk])[customer.pk], period)


def test_whatever_needs_a_detached_month_says_restore_first() -> None:
    customer, meter = factories.make_customer("acme"), factories.make_meter()
    send(1, 2)
    send(9, time="2023-10-05T00:00:00Z")
    ragged = Period(NOVEMBER.start + timedelta(minutes=30), NOVEMBER.end)
    asked = request_for(customer, NOVEMBER)
    away()
    other = factories.make_meter("other", aggregation="max")
    refused = [
        lambda: store.quantities(meter, [request_for(customer, ragged)]),
        lambda: store.breakdown(meter, [asked], ["model"]),
        lambda: store.quantities(other, [asked]),
        lambda: queries.quantities(customer_ids=[customer.pk], meters=[other], period=NOVEMBER),
        lambda: listing.events_of(meter, asked),
        lambda: latest(claims=None, types=None, period=NOVEMBER, before=None, limit=5, now=NOW),
        lambda: require([OCTOBER, Period(NOVEMBER.end - timedelta(microseconds=1), None)]),
    ]
    for ask in refused:
        with pytest.raises(MonthDetached, match=r"restore first, with “manage.py months restore 2023-11”"):
            ask()
    assert store.quantities(meter, [request_for(customer, OCTOBER)])[customer.pk].value == 9
    require([OCTOBER, Period(NOVEMBER.end, None)])
    services.restore(month=MONTH, now=NOW)
    assert store.quantities(other, [asked])[customer.pk].value == 2


def test_what_is_counted_already_needs_no_events() -> None:
    customer, meter = factories.make_customer("acme"), factories.make_meter(group_by=["model"])
    send(1, 2, data={"tokens": 5, "model": "large"})
    away()
    meter.refresh_from_db()
    send(3, data={"tokens": 7, "model": "small"})
    asked = request_for(customer, NOVEMBER)
    assert store.quantities(meter, [asked])[customer.pk].value == 17
    assert [(values, quantity.value) for _, values, quantity in store.breakdown(meter, [asked], ["model"])] == [
        (("large",), 10), (("small",), 7),
    ]  # fmt: skip
    services.restore(month=MONTH, now=NOW)
    assert store.quantities(meter, [asked])[customer.pk].value == 17
    factories.send_events([event(4)], now=NOW)  # not rolled up yet
    services.export(month=MONTH, now=NOW)
    assert store.quantities(meter, [asked])[customer.pk].value == 21


def test_a_new_meter_waits_for_the_events_it_would_miss() -> None:
    customer = factories.make_customer("acme")
    send(1, 2)
    away()
    meter, other = (
        factories.make_meter(),
        factories.make_meter("calls", event_type="call", aggregation="count", value=""),
    )
    build_missing()
    assert [Meter.objects.get(pk=each.pk).rollup_ready for each in (meter, other)] == [False, True]
    services.restore(month=MONTH, now=NOW)
    build_missing()
    meter.refresh_from_db()
    assert meter.rollup_ready
    assert store.quantities(meter, [request_for(customer, NOVEMBER)])[customer.pk].value == 3


def test_corrections_of_a_detached_month_say_restore_first() -> None:
    customer, meter = factories.make_customer("acme"), factories.make_meter()
    send(1, 2)
    backfill = corrections.make_backfill(name="b", reason="r", user=None, now=NOW)
    one = Criteria(source="test", ids=("e1",))
    voided = corrections.void(criteria=one, reason="twice", user=None, now=NOW)
    with pytest.raises(MonthNotReady, match="not rolled up yet"):
        away()
    catch_up()
    away()
    send(3)
    again = {"reason": "again", "user": None, "now": NOW}
    for correct in (
        lambda: corrections.void(criteria=Criteria(source="test", ids=("e2",)), **again),
        lambda: corrections.void(criteria=Criteria(subject="acme", period=NOVEMBER), **again),
        lambda: corrections.undo(correction=voided, **again),
        lambda: corrections.revert(backfill=backfill, **again),
    ):
        with pytest.raises(MonthDetached), transaction.atomic():
            correct()
    services.restore(month=MONTH, now=NOW)
    corrections.undo(correction=voided, **again)
    catch_up()
    asked = request_for(customer, NOVEMBER)
    assert store.quantities(meter, [asked])[customer.pk].value == 6


def test_a_subject_under_correction_is_never_counted_without_its_detached_month() -> None:
    customer, meter = factories.make_customer("acme"), factories.make_meter()
    send(1, 2)
    send(9, time="2023-10-05T00:00:00Z")
    away()
    meter.refresh_from_db()
    criteria = Criteria(source="test", ids=("e9",))
    corrections.void(criteria=criteria, reason="twice", user=None, now=NOW)
    asked = request_for(customer, Period(OCTOBER.start, NOVEMBER.end))
    with pytest.raises(MonthDetached):
        store.quantities(meter, [asked])
    catch_up()
    assert store.quantities(meter, [asked])[customer.pk].value == 3


def test_months_between_those_asked_for_may_be_away() -> None:
    send(1)
    away()
    december = Period(datetime(2023, 12, 1, tzinfo=UTC), None)
    meter, customer = factories.make_meter(), factories.make_customer("acme")
    claims = queries.claims_of([customer.pk])[customer.pk]
    assert store.quantities(meter, [Request(1, claims, OCTOBER), Request(2, claims, december)])[1].value == 0


def test_ids_of_a_detached_month_stay_known() -> None:
    send(1, 2)
    away()
    again = send(1)
    assert (again.accepted, again.duplicates) == (0, 1)
    other = send(2, data={"tokens": 3})
    assert (other.accepted, len(other.conflicts)) == (0, 1)
    assert rows() == []


def test_late_events_of_a_detached_month_are_kept_and_merged() -> None:
    send(1, 2)
    before = rows()
    away()
    assert send(3).accepted == 1
    late = rows()
    assert len(late) == 1
    assert EventMonth.objects.get(month=date(2023, 11, 1)).state == "detached"
    assert sizes([date(2023, 11, 1)])[date(2023, 11, 1)].events == 1
    with pytest.raises(MonthNotReady, match="restore it first"):
        services.export(month=MONTH, now=NOW)
    with pytest.raises(MonthDetached):
        require([NOVEMBER])
    assert services.restore(month=MONTH, now=NOW).state == "live"
    assert rows() == sorted([*before, *late])
    month = services.export(month=MONTH, now=NOW)
    assert month.events == 3
    services.detach(month=MONTH, now=NOW)
    services.restore(month=MONTH, now=NOW)
    assert rows() == sorted([*before, *late])


def test_a_second_restore_does_nothing() -> None:
    send(1, 2)
    away()
    services.restore(month=MONTH, now=NOW)
    before = rows()
    again = services.restore(month=MONTH, now=NOW + timedelta(days=1))
    assert rows() == before
    assert again.restored_at == NOW


def test_a_month_goes_only_when_the_file_holds_all_of_it() -> None:
    send(1)
    with pytest.raises(MonthNotReady, match=r"2023-11 is live\. Export it first"):
        services.detach(month=MONTH, now=NOW)
    services.export(month=MONTH, now=NOW)
    send(2)
    with pytest.raises(MonthNotReady, match="1 events of 2023-11 came since it was exported"):
        services.detach(month=MONTH, now=NOW)
    services.export(month=MONTH, now=NOW)
    PendingBatch.objects.create(batch=10**9, hours=[datetime(2023, 11, 30, 23, tzinfo=UTC)])
    with pytest.raises(MonthNotReady, match="not rolled up yet"):
        services.detach(month=MONTH, now=NOW)
    assert len(rows()) == 2
    PendingBatch.objects.update(hours=[datetime(2023, 12, 1, tzinfo=UTC)])
    assert services.detach(month=MONTH, now=NOW).state == "detached"


def test_a_month_in_use_stays() -> None:
    send(1)
    with pytest.raises(MonthNotOver, match="2023-11 cannot be exported before 2023-12-01"):
        services.export(month=MONTH, now=datetime(2023, 11, 30, 23, 59, tzinfo=UTC))
    services.export(month=MONTH, now=NOW)
    with pytest.raises(MonthNotOver, match="2023-11 cannot be detached before 2024-01-05"):
        services.detach(month=MONTH, now=datetime(2024, 1, 4, 23, tzinfo=UTC))


@pytest.mark.parametrize("month", ["2031-01", "2023-13", "0000-01", "x; DROP TABLE y", ""])
def test_a_month_that_there_is_not_is_named(month: str) -> None:
    with pytest.raises(NoSuchMonth, match="There are no events of"):
        services.export(month=month, now=datetime(2040, 1, 1, tzinfo=UTC))


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES: dict[str, Any] = {
    "a flipped bit": _flip,
    "a file cut short": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "no file": Path.unlink,
    "another month's file": lambda path: path.write_bytes(gzip.compress(b"{}\n")),
    "no manifest": lambda path: path.with_name(path.name.removesuffix(".ndjson.gz") + ".manifest.json").unlink(),
    "a manifest that is none": lambda path: path.with_name(
        path.name.removesuffix(".ndjson.gz") + ".manifest.json"
    ).write_text("{}"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_or_foreign_file_is_refused(damage: Any, archive: Path) -> None:
    send(1, 2)
    before = rows()
    month = services.export(month=MONTH, now=NOW)
    kept = {path: path.read_bytes() for path in archive.iterdir()}
    damage(archive / month.file)
    with pytest.raises(ArchiveDamaged, match="nothing was changed"):
        services.detach(month=MONTH, now=NOW)
    assert rows() == before
    for path, data in kept.items():
        path.write_bytes(data)
    services.detach(month=MONTH, now=NOW)
    damage(archive / month.file)
    with pytest.raises(ArchiveDamaged, match="nothing was changed"):
        services.restore(month=MONTH, now=NOW)
    assert rows() == []
    assert EventMonth.objects.get(month=date(2023, 11, 1)).state == "detached"


def test_the_command_tells_what_it_did(archive: Path, capsys: Any) -> None:
    with clock.set_to(NOW):
        call_command("months")
        send(1, 2)
        for words in (["export", MONTH], ["detach", MONTH], ["list"], ["restore", MONTH], ["restore", MONTH], ["make"]):
            call_command("months", *words)
    out = capsys.readouterr().out
    assert "There are no events yet" in out
    assert "2023-11: 2 events exported to" in out
    assert "2023-11  detached  no table; 2 events in events-2023-11-" in out
    assert "2023-11: 2 events are back; the month is exported." in out
    assert "2023-11: is not detached, nothing is to be restored." in out
    assert "The tables of 2024-03, 2024-04, 2024-05, 2024-06 are there." in out
    with pytest.raises(CommandError, match="There are no events of 2031-01"):
        call_command("months", "export", "2031-01")


def test_tables_are_made_ahead_over_the_turn_of_a_year() -> None:
    made = services.make_ahead(now=datetime(2023, 11, 30, 23, 59, tzinfo=UTC))
    assert made == ["2023-11", "2023-12", "2024-01", "2024-02"]
    assert all(map(partitions.exists, made))
    assert EventMonth.objects.count() == 4
    assert services.make_ahead(now=datetime(2023, 11, 30, tzinfo=UTC)) == made


def test_what_stops_a_task_stands_with_the_month() -> None:
    send(1)
    services.queue(month=MONTH, verb="detach")
    with clock.set_to(NOW):
        work("detach", MONTH)
        month = EventMonth.objects.get()
        assert (month.task, month.trouble) == ("", "2023-11 is live. Export it first.")
        services.queue(month=MONTH, verb="export")
        work("export", MONTH)
    month.refresh_from_db()
    assert (month.state, month.task, month.trouble) == ("exported", "", "")
