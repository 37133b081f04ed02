"""Several people and workers at once, with connections of their own: one outcome each, nothing half done."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

from billing.catalog.models import SubscriptionInterval
from billing.catalog.services import change_subscription
from billing.moves import chunks, services
from billing.moves.criteria import Criteria
from billing.moves.models import Move
from tests.billing.moves.helpers import MARCH, NOW, no_queue, previewed, scheduled, work
from tests.factories import fee, make_contract, make_customer, make_subscription, make_version, usage

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*acts: Any) -> list[Any]:
    """Run each in a thread and connection of its own, all let go at the same moment."""
    gate = Barrier(len(acts))

    def run(act: Any) -> Any:
        try:
            gate.wait()
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result() for future in [pool.submit(run, act) for act in acts]]


def book(customers: int = 6) -> Any:
    old, new = make_version(fee(), usage()), make_version(fee(amount="1.00"), usage())
    return old, new, [make_subscription(make_contract(make_customer()), old) for _ in range(customers)]


def test_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers at one move take turns: everybody is moved once."""
    monkeypatch.setattr(chunks, "CHUNK", 2)
    old, new, _ = book()
    move = previewed(new, old)
    services.schedule(move=move, reason="x", user=None, queue=no_queue, now=NOW)
    at_once(lambda: work(move), lambda: work(move), lambda: work(move))
    assert set(move.rows.values_list("outcome", flat=True)) == {"scheduled"}
    assert SubscriptionInterval.objects.filter(superseded_at=None).count() == 12
    assert SubscriptionInterval.objects.count() == 18


def test_two_moves_of_the_same_customers_to_one_day_share_them_out_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 2)
    old, new, subscriptions = book()
    other = make_version(fee(amount="2.00"), usage())
    moves = [previewed(new, old), previewed(other, old)]
    for move in moves:
        services.schedule(move=move, reason="x", user=None, queue=no_queue, now=NOW)
    at_once(*[lambda move=move: work(move) for move in moves])
    for subscription in subscriptions:
        found = sorted(subscription.moves.values_list("outcome", "code"))
        assert found == [("refused", "same_moment"), ("scheduled", "")]
        assert subscription.intervals.filter(superseded_at=None).count() == 2


def test_a_move_and_a_change_by_hand_both_stand_in_either_order() -> None:
    old, new, subscriptions = book(3)
    move = previewed(new, old)
    services.schedule(move=move, reason="x", user=None, queue=no_queue, now=NOW)

    def grow() -> None:
        for each in subscriptions:
            change_subscription(subscription=each, at=date(2024, 4, 1), quantity=Decimal(5), now=NOW)

    at_once(lambda: work(move), grow)
    for each in subscriptions:
        rows = each.intervals.filter(superseded_at=None).order_by("start")
        assert list(rows.values_list("version__number", "quantity")) == [(1, 1), (2, 1), (2, 5)]


def test_the_same_form_from_two_tabs_makes_one_move() -> None:
    old, new, _ = book(2)
    asked = {"token": uuid4(), "target": new, "criteria": Criteria((old.pk,), MARCH), "user": None}
    found = at_once(*[lambda: services.draft(**asked, queue=no_queue, now=NOW)] * 3)
    assert len({each.pk for each in found}) == Move.objects.count() == 1


def test_cancelled_by_two_people_at_once_it_is_cancelled_once() -> None:
    old, new, subscriptions = book(3)
    move = scheduled(new, old)
    given = {"move": move, "reason": "x", "user": None, "queue": no_queue, "now": NOW}
    assert sorted(at_once(*[lambda: services.cancel(**given)] * 2)) == [False, True]
    at_once(lambda: work(move), lambda: work(move))
    for each in subscriptions:
        rows = each.intervals.filter(superseded_at=None)
        assert [(row.version, row.end) for row in rows] == [(old, None)]
