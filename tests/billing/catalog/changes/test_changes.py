"""Changes of a subscription are facts: recorded, combined, refused with a reason, undone."""

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import permutations

import pytest
from django.db import DatabaseError, connection, transaction

from billing.catalog.changes.checking import last_day, moment_of
from billing.catalog.changes.direction import increase_now
from billing.catalog.changes.models import SubscriptionChange
from billing.catalog.changes.services import change_subscription, end_subscription, undo_change
from billing.catalog.errors import CatalogError
from billing.catalog.models import Subscription, SubscriptionInterval
from tests.factories import NOW, fee, make_contract, make_subscription, make_version, usage

pytestmark = pytest.mark.django_db


def bound(subscription: Subscription) -> list[tuple[str, str | None, int, int]]:
    rows = SubscriptionInterval.objects.filter(subscription=subscription, superseded_at=None).order_by("start")
    return [
        (f"{row.start:%m-%d}", f"{row.end:%m-%d}" if row.end else None, row.version.number, int(row.quantity))
        for row in rows.select_related("version")
    ]


def change(subscription: Subscription, day: date, **what: object) -> SubscriptionChange:
    return change_subscription(subscription=subscription, at=day, now=NOW, **what)  # type: ignore[arg-type]


def test_it_works() -> None:
    subscription = make_subscription()
    change(subscription, date(2024, 5, 20), quantity=Decimal(9))
    change(subscription, date(2024, 5, 10), quantity=Decimal(4))
    assert bound(subscription) == [("11-01", "05-10", 1, 1), ("05-10", "05-20", 1, 4), ("05-20", None, 1, 9)]


def test_the_same_change_said_twice_is_recorded_once() -> None:
    subscription = make_subscription()
    change(subscription, date(2024, 5, 20), quantity=Decimal(9))
    with pytest.raises(CatalogError, match="on 2024-05-20 was recorded already: nothing was added"):
        change(subscription, date(2024, 5, 20), quantity=Decimal(9))
    change(subscription, date(2024, 5, 20), quantity=Decimal(8))
    change(subscription, date(2024, 5, 20), quantity=Decimal(9))
    assert bound(subscription) == [("11-01", "05-20", 1, 1), ("05-20", None, 1, 9)]


def test_every_order_of_the_same_changes_ends_in_the_same_terms() -> None:
    versions = [make_version(), make_version()]
    acts = [
        lambda mine: change(mine, date(2024, 2, 10), version=versions[1]),
        lambda mine: change(mine, date(2024, 2, 10), quantity=Decimal(3)),
        lambda mine: change(mine, date(2024, 2, 20), quantity=Decimal(5)),
        lambda mine: end_subscription(subscription=mine, at=date(2024, 3, 5), now=NOW),
    ]
    ends = set()
    for order in permutations(acts):
        mine = make_subscription(make_contract(), versions[0])
        for act in order:
            act(mine)
        ends.add(tuple(bound(mine)))
    assert ends == {(("11-01", "02-10", 1, 1), ("02-10", "02-20", 2, 3), ("02-20", "03-05", 2, 5))}


def test_what_is_not_in_force_cannot_be_changed_and_the_reason_says_why() -> None:
    contract = make_contract()
    subscription = make_subscription(contract, start=date(2023, 12, 1))
    with pytest.raises(CatalogError, match="starts on 2023-12-01, after 2023-11-15: choose a later day"):
        change(subscription, date(2023, 11, 15), quantity=Decimal(2))
    end_subscription(subscription=subscription, at=date(2024, 2, 1), now=NOW)
    with pytest.raises(CatalogError, match="has ended before 2024-02-01: undo its end first"):
        change(subscription, date(2024, 2, 1), quantity=Decimal(2))
    with pytest.raises(CatalogError, match="Say what changes"):
        change(subscription, date(2024, 1, 1))
    assert subscription.changes.count() == 2


def test_a_version_that_lacks_the_currency_or_is_of_another_product_is_refused_with_the_reason() -> None:
    subscription = make_subscription()
    with pytest.raises(CatalogError, match=r"“Platform” of Pro v2 has no price in USD, the currency of"):
        change(subscription, date(2024, 1, 1), version=make_version(currencies=["EUR"]))
    with pytest.raises(CatalogError, match="of another product"):
        change(subscription, date(2024, 1, 1), version=make_version(product="chat", plan="talk"))
    assert bound(subscription) == [("11-01", None, 1, 1)]


def test_an_undone_change_was_never_agreed() -> None:
    subscription = make_subscription()
    first = change(subscription, date(2024, 2, 1), quantity=Decimal(3))
    change(subscription, date(2024, 3, 1), quantity=Decimal(4))
    undo_change(change=first, reason="Signed for the wrong customer", user=None, now=NOW)
    assert bound(subscription) == [("11-01", "03-01", 1, 1), ("03-01", None, 1, 4)]
    with pytest.raises(CatalogError, match="undone meanwhile"):
        undo_change(change=first, reason="Again", user=None, now=NOW)


def test_undoing_a_replaced_change_and_then_the_one_on_top_gives_back_what_was() -> None:
    subscription = make_subscription()
    below = change(subscription, date(2024, 2, 1), quantity=Decimal(3))
    above = change(subscription, date(2024, 2, 1), quantity=Decimal(4))
    undo_change(change=above, reason="A slip", user=None, now=NOW)
    assert bound(subscription)[-1] == ("02-01", None, 1, 3)
    undo_change(change=below, reason="A slip", user=None, now=NOW)
    assert bound(subscription) == [("11-01", None, 1, 1)]


def test_a_change_that_took_effect_is_undone_while_nothing_builds_upon_it() -> None:
    subscription = make_subscription()
    first = change(subscription, date(2023, 12, 1), quantity=Decimal(3))
    later = change(subscription, date(2023, 12, 10), quantity=Decimal(4))
    with pytest.raises(CatalogError, match="The change of 2023-12-10 was made on top of this one: undo that one first"):
        undo_change(change=first, reason="Wrong", user=None, now=NOW)
    undo_change(change=later, reason="Wrong", user=None, now=NOW)
    undo_change(change=first, reason="Wrong", user=None, now=NOW)
    assert bound(subscription) == [("11-01", None, 1, 1)]


def test_an_undone_end_goes_on_unless_another_subscription_counts_its_meter_now() -> None:
    contract = make_contract()
    version = make_version(fee(), usage())
    subscription = make_subscription(contract, version)
    end = end_subscription(subscription=subscription, at=date(2024, 2, 1), now=NOW)
    make_subscription(contract, version, code="next", start=date(2024, 2, 1))
    with pytest.raises(CatalogError, match="Meter tokens is counted by another subscription"):
        undo_change(change=end, reason="They stay", user=None, now=NOW)
    end.refresh_from_db()
    assert end.undone_at is None


def test_the_start_is_not_undone_and_an_undoing_says_why() -> None:
    subscription = make_subscription()
    start = subscription.changes.get()
    with pytest.raises(CatalogError, match="begins with this: end it instead"):
        undo_change(change=start, reason="No", user=None, now=NOW)
    with pytest.raises(CatalogError, match="Say why it is undone"):
        undo_change(change=start, reason=" ", user=None, now=NOW)


def test_facts_are_stamped_once_and_never_edited() -> None:
    row = change(make_subscription(), date(2024, 2, 1), quantity=Decimal(3))
    for statement in (
        "UPDATE billing_subscriptionchange SET quantity = 2 WHERE id = %s",
        "DELETE FROM billing_subscriptionchange WHERE id = %s",
    ):
        with pytest.raises(DatabaseError, match="Cannot"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement, [row.pk])


def test_a_change_is_now_on_a_day_or_when_the_period_ends_and_a_termination_ends_after_its_day() -> None:
    contract = make_contract(timezone="Europe/Berlin", start=date(2024, 1, 31))
    now = datetime(2024, 2, 10, 12, tzinfo=UTC)
    assert moment_of(contract, "now", None, now) == now
    assert moment_of(contract, "date", date(2024, 2, 15), now) == datetime(2024, 2, 14, 23, tzinfo=UTC)
    assert moment_of(contract, "period_end", None, now) == datetime(2024, 2, 28, 23, tzinfo=UTC)
    assert last_day(contract, "date", date(2024, 2, 15), now) == datetime(2024, 2, 15, 23, tzinfo=UTC)
    with pytest.raises(CatalogError, match="Say on which day"):
        moment_of(contract, "date", None, now)


def test_an_increase_holds_now_and_a_decrease_when_the_period_ends() -> None:
    seats = fee("seats") | {"price": {"model": "per_unit", "unit_amount": "10"}}
    first, dearer = make_version(seats), make_version(seats | {"price": {"model": "per_unit", "unit_amount": "12"}})
    yearly = make_version(seats | {"cadence": "P1Y"})
    subscription = make_subscription(version=first, quantity=Decimal(5))
    now = datetime(2024, 2, 10, 12, tzinfo=UTC)
    later = datetime(2024, 3, 1, tzinfo=UTC)
    cases = ((None, "6", now), (None, "4", later), (dearer, None, now), (dearer, "3", later), (yearly, None, later))
    for version, quantity, at in cases:
        assert increase_now(subscription, version, Decimal(quantity) if quantity else None, now) == at
