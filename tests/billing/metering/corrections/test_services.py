"""Corrections: what counts afterwards, who said so, and what cannot be done."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, transaction

from billing.metering import store
from billing.metering.asking import BEGINNING, Request
from billing.metering.corrections import queries, services
from billing.metering.corrections.criteria import Changes, Criteria, read_changes, read_criteria
from billing.metering.corrections.errors import (
    CannotUndo,
    CorrectionError,
    CriteriaError,
    NothingToCorrect,
    SelectionChanged,
)
from billing.metering.corrections.models import Correction
from billing.metering.models import Event, EventBatch, Meter
from billing.metering.rollups import services as rollups
from billing.metering.services import IngestReport, ingest
from billing.metering.validate import new_event
from billing.periods import Period

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
MARCH = Period(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
ONE = Criteria(ids=("1",), source="app")


@pytest.fixture(params=["pending", "rolled up"])
def meter(request: pytest.FixtureRequest) -> Meter:
    """A meter, asked before or after its events were rolled up; a correction is always pending first."""
    made = Meter.objects.create(code="n", name="N", event_type="call", aggregation="sum", value="n")
    send(call("1", 5), call("2", 7), call("3", 11, subject="b"))
    if request.param == "rolled up":
        rollups.catch_up()
        made.refresh_from_db()
        assert made.rollup_ready
    return made


def call(name: str, n: Any, subject: str = "a", day: int = 5, **data: Any) -> Any:
    return new_event(
        id=name, type="call", subject=subject, data={"n": n} | data, time=datetime(2026, 3, day, 10, 30, tzinfo=UTC)
    )


def send(*events: Any, **more: Any) -> IngestReport:
    return ingest(events=events, origin="test", default_source="app", now=NOW, **more)


def total(meter: Meter, subject: str = "a") -> int:
    return int(store.quantities(meter, [Request(1, ((subject, Period(BEGINNING, None)),), MARCH)])[1].value)


def void(criteria: Criteria = ONE, **more: Any) -> Correction:
    return services.void(**({"criteria": criteria, "reason": "sent twice", "user": None, "now": NOW} | more))


def replace(changes: Changes, criteria: Criteria = ONE) -> Correction:
    return services.replace(criteria=criteria, changes=changes, reason="wrong value", user=None, now=NOW)


def undo(correction: Correction) -> Correction:
    return services.undo(correction=correction, reason="was right", user=None, now=NOW)


def test_it_works(meter: Meter) -> None:
    user = User.objects.create(username="ann")
    made = void(user=user)
    assert total(meter) == 7
    rollups.catch_up()
    assert total(meter) == 7
    assert (made.events, made.created_by, made.reason, made.kind) == (1, user, "sent twice", "void")
    assert Event.objects.filter(id="1").count() == 1  # the event itself stands as it came


def test_a_replacement_counts_instead_and_only_what_it_names_is_changed(meter: Meter) -> None:
    replace(Changes(data={"n": 50}))
    assert total(meter) == 57
    made = Event.objects.filter(id="1").latest("batch_id")
    assert (made.data, made.ts.day) == ({"n": 50}, 5)
    rollups.catch_up()
    assert total(meter) == 57


def test_an_event_may_move_to_another_subject_or_time(meter: Meter) -> None:
    replace(Changes(subject="b", time=datetime(2026, 3, 20, tzinfo=UTC)))
    assert (total(meter), total(meter, "b")) == (7, 16)
    replace(Changes(time=datetime(2027, 5, 1, tzinfo=UTC)))  # the replacement itself, found by the same id
    assert (total(meter), total(meter, "b")) == (7, 11)
    rollups.catch_up()
    assert (total(meter), total(meter, "b")) == (7, 11)


def test_all_that_match_a_filter_are_meant(meter: Meter) -> None:
    send(call("4", 1, region="eu"), call("5", 1, region="us"), call("6", 1, region="eu", day=8))
    made = void(Criteria(subject="a", period=MARCH, filters={"region": "eu"}))
    assert (made.events, total(meter)) == (2, 13)


def test_what_was_voided_is_a_duplicate_when_it_is_sent_again(meter: Meter) -> None:
    void()
    assert send(call("1", 5)).duplicates == 1
    assert len(send(call("1", 6)).conflicts) == 1
    assert total(meter) == 7


def test_a_resend_is_compared_with_what_was_sent_not_with_its_replacement(meter: Meter) -> None:
    replace(Changes(data={"n": 50}))
    assert (send(call("1", 5)).duplicates, len(send(call("1", 50)).conflicts)) == (1, 1)


def test_a_correction_can_be_undone_once(meter: Meter) -> None:
    made = replace(Changes(data={"n": 50}))
    rollups.catch_up()
    undone = undo(made)
    assert (total(meter), undone.undoes) == (12, made)
    rollups.catch_up()
    assert total(meter) == 12
    with pytest.raises(CannotUndo, match="undone already"):
        undo(made)
    with pytest.raises(CannotUndo, match="make that one again"):
        undo(undone)
    void()
    assert total(meter) == 7


def test_what_a_later_correction_stands_on_is_undone_after_it(meter: Meter) -> None:
    first = replace(Changes(data={"n": 50}))
    second = void()
    with pytest.raises(CannotUndo, match=f"Correction {second.pk} corrects some of these"):
        undo(first)
    undo(second)
    assert total(meter) == 57
    undo(first)
    assert total(meter) == 12


def test_a_backfill_is_reverted_as_a_whole(meter: Meter) -> None:
    backfill = services.make_backfill(name="Lost in February", reason="outage", user=None, now=NOW)
    send(call("7", 100), call("8", 100), backfill_id=backfill.pk)
    send(call("9", 100), backfill_id=backfill.pk)
    assert total(meter) == 312
    made = services.revert(backfill=backfill, reason="wrong file", user=None, now=NOW)
    assert (made.events, total(meter)) == (3, 12)
    with pytest.raises(NothingToCorrect):
        services.revert(backfill=backfill, reason="again", user=None, now=NOW)
    undo(made)
    assert total(meter) == 312


def test_nothing_is_corrected_that_was_not_shown(meter: Meter) -> None:
    criteria = Criteria(subject="a", period=MARCH)
    assert queries.selected(criteria).events == 2
    send(call("late", 1))
    with pytest.raises(SelectionChanged, match="2 events were shown, and 3 meet"):
        void(criteria, expected=2)
    assert total(meter) == 13


def test_a_reason_is_needed_and_so_are_events(meter: Meter) -> None:
    with pytest.raises(CorrectionError, match="needs a reason"):
        void(reason="  ")
    with pytest.raises(NothingToCorrect):
        void(Criteria(ids=("unknown",), source="app"))
    with pytest.raises(NothingToCorrect):
        void(Criteria(ids=("1",), source="never heard of"))
    assert not EventBatch.objects.filter(origin="correction").exists()


def test_the_effect_is_told_before(meter: Meter) -> None:
    from tests.factories import make_customer

    customer = make_customer("acme", subject="a")
    found = queries.selected(ONE)
    assert found.period is not None
    (effect,) = queries.effects(
        customer_ids=queries.customers_of(found.subjects), types=found.types, period=found.period, act=void
    )
    assert (effect.customer, effect.meter, effect.month.month) == (customer, meter, 3)
    assert (effect.before, effect.after, effect.change) == (12, 7, -5)
    assert total(meter) == 12
    assert not Correction.objects.exists()


def test_an_event_says_what_was_said_of_it(meter: Meter) -> None:
    event = Event.objects.get(id="1")
    made = void()
    undo(made)
    assert [(said.kind, said.counts, said.reason) for said in queries.said_of(event.batch_id, event.n)] == [
        ("void", False, "sent twice"), ("undo", True, "was right"),
    ]  # fmt: skip


def test_what_was_said_stands(meter: Meter) -> None:
    made = void()
    with pytest.raises(DatabaseError), transaction.atomic():
        Correction.objects.filter(pk=made.pk).update(reason="other")
    with pytest.raises(DatabaseError), transaction.atomic():
        made.delete()


@pytest.mark.parametrize(
    ("given", "field", "why"),
    [
        ({}, "start", "Name ids, a period"),
        ({"ids": ["1"]}, "source", "name the source"),
        ({"ids": "1", "source": "a"}, "ids", "as a list"),
        ({"start": "2026-03-01T00:00:00Z"}, "end", "it is missing"),
        ({"start": "2026-03-02T00:00:00Z", "end": "2026-03-01T00:00:00Z"}, "end", "before it lasts"),
        ({"start": "yesterday", "end": "2026-03-01T00:00:00Z"}, "start", "Write start as a time"),
        ({"ids": ["1"], "source": "a", "filters": {"x": []}}, "filters", "No values are listed"),
        ({"ids": ["1"], "source": "a", "backfill": "x"}, "backfill", "by its number"),
        ({"everything": True}, "everything", "is no key"),
        ([], "criteria", "as an object"),
    ],
)
def test_criteria_that_cannot_be_meant_are_told_why(given: Any, field: str, why: str) -> None:
    with pytest.raises(CriteriaError, match=why) as failure:
        read_criteria(given)
    assert failure.value.field == field


def test_changes_that_change_nothing_are_none() -> None:
    with pytest.raises(CriteriaError, match="changes something"):
        read_changes({})
    with pytest.raises(CriteriaError, match="as an object"):
        read_changes({"data": [1]})
    assert read_changes({"data": {"n": None}}).data == {"n": None}


def test_criteria_are_kept_as_they_were_asked() -> None:
    asked = {"ids": ["1"], "source": "app", "start": "2026-03-01T00:00:00+00:00", "end": "2026-03-02T00:00:00+00:00"}
    assert read_criteria(asked).to_json() == asked
