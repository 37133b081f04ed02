"""Scheduled and cancelled, a book of random contracts binds exactly what it bound before; in the database itself."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.catalog.models import SubscriptionInterval
from billing.catalog.services import change_subscription, end_subscription
from billing.moves.errors import CriteriaError
from billing.moves.models import Move
from billing.moves.timing import When
from tests.billing.moves.helpers import NOW, cancelled, previewed, scheduled
from tests.factories import fee, make_contract, make_subscription, make_version

pytestmark = pytest.mark.django_db
KINDS = ["date", "renewal", "period"]

people = st.lists(
    st.tuples(
        st.dates(date(2023, 1, 1), date(2024, 1, 31)),
        st.sampled_from(["UTC", "Asia/Kathmandu", "America/New_York"]),
        st.sampled_from(["P1M", "P3M", "P2W"]),
        st.none() | st.integers(60, 500),
        st.lists(st.tuples(st.integers(1, 400), st.integers(2, 5)), max_size=2),
    ),
    min_size=1, max_size=2,
)  # fmt: skip


class Undo(Exception):
    """Takes an example back."""


def terms() -> list[Any]:
    rows = SubscriptionInterval.objects.filter(superseded_at=None).order_by("subscription", "start")
    return list(rows.values_list("subscription", "version", "quantity", "start", "end"))


def make(book: list[Any], version: Any) -> None:
    for start, zone, cadence, end, changes in book:
        contract = make_contract(start=start, timezone=zone, cadence=cadence)
        subscription = make_subscription(contract, version)
        for days, quantity in sorted(changes):
            at = start + timedelta(days=days)
            change_subscription(subscription=subscription, at=at, quantity=Decimal(quantity), now=NOW)
        if end:
            end_subscription(subscription=subscription, at=start + timedelta(days=end), now=NOW)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    book=people, kind=st.sampled_from(KINDS), day=st.dates(date(2024, 2, 11), date(2024, 12, 31)),
    second=st.none() | st.dates(date(2024, 2, 11), date(2024, 12, 31)), first_back=st.booleans(),
)  # fmt: skip
def test_what_is_cancelled_leaves_no_trace_in_what_is_bound(
    book: list[Any], kind: Any, day: date, second: date | None, first_back: bool, db: None
) -> None:
    try:
        with transaction.atomic():
            old = make_version(fee())
            new, newer = make_version(fee(amount="1.00")), make_version(fee(amount="2.00"))
            make(book, old)
            before = terms()
            moves = [scheduled(new, old, when=When(kind, day))] if _any(new, old, kind, day) else []
            if moves and second and _any(newer, old, "date", second):
                moves.append(scheduled(newer, old, when=When("date", second)))
            for move in moves if first_back else moves[::-1]:
                cancelled(move)
            for move in Move.objects.filter(state="scheduled"):  # one that another of the same day stood on
                cancelled(move)
            assert _joined(terms()) == _joined(before)
            if len(moves) == 1:
                assert terms() == before
            raise Undo
    except Undo:
        return


def _any(target: Any, old: Any, kind: Any, day: date) -> bool:
    """Whether somebody would move, and nobody so soon that it cannot be cancelled."""
    try:
        move = previewed(target, old, when=When(kind, day))
    except CriteriaError:
        return False  # all of them ended
    there = move.rows.filter(outcome="planned", at__gt=datetime(2024, 2, 10, 12, tzinfo=UTC)).exists()
    move.delete()
    return there


def _joined(rows: list[Any]) -> list[Any]:
    """Rows of equal terms that touch are one."""
    found: list[Any] = []
    for row in rows:
        before = found[-1] if found else None
        if before and before[:3] == row[:3] and before[4] == row[3]:
            found[-1] = (*before[:4], row[4])
        else:
            found.append(row)
    return found
