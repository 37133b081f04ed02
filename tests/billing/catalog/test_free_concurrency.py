"""Trials and renewals with real parallel connections: each happens once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from billing.catalog.free.errors import FreeTimeError
from billing.catalog.free.models import SubscriptionFreeTime
from billing.catalog.free.services import start_trial
from billing.catalog.renewals.models import Renewal
from billing.catalog.renewals.services import due, renew_due
from billing.catalog.terms.models import SubscriptionTerm
from customers.models import Contract
from tests.factories import NOW, make_contract, make_subscription

pytestmark = pytest.mark.django_db(transaction=True)
LATE = datetime(2025, 1, 15, tzinfo=UTC)


def at_once(act: Callable[[], Any]) -> list[Any]:
    """Run it in two threads with connections of their own, let go at the same moment."""
    gate = Barrier(2)

    def run() -> Any:
        try:
            gate.wait()
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        return [future.result() for future in [pool.submit(run), pool.submit(run)]]


def test_two_that_renew_at_once_renew_once() -> None:
    contract = make_contract(
        end=date(2024, 11, 1), renewal="automatic", renewal_term="P1Y", notice_days=30, uplift=Decimal(3)
    )
    make_subscription(contract)
    ids = due(now=LATE)
    assert ids == [contract.pk]
    done = at_once(lambda: renew_due(contract_ids=ids, now=LATE))
    assert sorted(done) == [(0, []), (1, [])]
    assert Renewal.objects.count() == SubscriptionTerm.objects.count() == 1
    assert Contract.objects.get().end == date(2025, 11, 1)


def test_two_that_start_a_trial_at_once_start_one() -> None:
    subscription = make_subscription()

    def start() -> str:
        try:
            return str(
                start_trial(subscription=subscription, end=date(2023, 12, 1), reason="?", user=None, now=NOW).kind
            )
        except FreeTimeError as error:
            return str(error)

    found = at_once(start)
    assert "trial" in found
    assert any("a customer tries a product once" in each for each in found)
    assert SubscriptionFreeTime.objects.count() == 1
