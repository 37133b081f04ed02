"""Moves through the services that pages use, with the worker's part done at once."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

from billing.catalog.models import PlanVersion, Subscription, SubscriptionInterval
from billing.moves import services
from billing.moves.criteria import Criteria
from billing.moves.models import Move
from billing.moves.timing import When

NOW = datetime(2024, 2, 10, 12, tzinfo=UTC)
MARCH = When("date", date(2024, 3, 1))


def no_queue(move_id: int) -> None:
    """The test does the worker's part itself."""


def work(move: Move, *, now: datetime = NOW) -> Move:
    """All that is left of a move's work."""
    while services.step(move_id=move.pk, now=now):
        pass
    return Move.objects.select_related("target__plan").get(pk=move.pk)


def previewed(
    target: PlanVersion, *versions: PlanVersion, when: When = MARCH, now: datetime = NOW, **criteria: Any
) -> Move:
    """A draft of a move whose preview is complete."""
    asked = Criteria(versions=tuple(each.pk for each in versions), when=when, **criteria)
    move = services.draft(token=uuid4(), target=target, criteria=asked, user=None, queue=no_queue, now=now)
    return work(move, now=now)


def scheduled(target: PlanVersion, *versions: PlanVersion, now: datetime = NOW, **criteria: Any) -> Move:
    """A move that is scheduled."""
    move = previewed(target, *versions, now=now, **criteria)
    services.schedule(move=move, reason="New prices", user=None, queue=no_queue, now=now)
    return work(move, now=now)


def cancelled(move: Move, *, now: datetime = NOW) -> Move:
    """A move that is taken back."""
    services.cancel(move=move, reason="Not yet", user=None, queue=no_queue, now=now)
    return work(move, now=now)


def bound(subscription: Subscription) -> list[tuple[str, str | None, int, Decimal]]:
    """What the subscription binds: first day, the day after the last, number of the version, quantity."""
    rows = SubscriptionInterval.objects.filter(subscription=subscription, superseded_at=None).order_by("start")
    return [
        (f"{row.start:%m-%d}", f"{row.end:%m-%d}" if row.end else None, row.version.number, row.quantity)
        for row in rows.select_related("version")
    ]


def versions_of(subscription: Subscription) -> list[tuple[str, int]]:
    """First day and number of each version."""
    return [(start, number) for start, _, number, _ in bound(subscription)]


def outcomes(move: Move) -> list[tuple[str, str]]:
    """Outcome and kind of reason of each subscription."""
    return list(move.rows.order_by("subscription_id").values_list("outcome", "code"))


def notes(move: Move) -> Iterable[str]:
    """The sentences."""
    return list(move.rows.order_by("subscription_id").values_list("note", flat=True))
