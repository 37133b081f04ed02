"""Two people who agree terms at the same moment, on connections of their own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from threading import Barrier

import pytest
from django.db import connection

from billing.catalog.errors import CatalogError
from billing.catalog.models import Charge
from billing.catalog.terms.models import SubscriptionTerm
from billing.catalog.terms.services import add_charge, undo_term
from tests.billing.catalog.terms.helpers import WHY, agree, per_unit, subscribed
from tests.factories import fee, make_contract, make_customer, make_meter, make_subscription, make_version, usage

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*acts: Callable[[], object]) -> list[str]:
    """Run each in a thread of its own, all let go at one moment; "" for what succeeded, else the sentence."""
    gate = Barrier(len(acts))

    def run(act: Callable[[], object]) -> str:
        try:
            gate.wait()
            act()
        except CatalogError as error:
            return str(error)
        finally:
            connection.close()
        return ""

    with ThreadPoolExecutor(len(acts)) as pool:
        return sorted(pool.map(run, acts))


def test_it_works() -> None:
    """Of two prices for one charge at one time, one is agreed and the other refused."""
    subscription = subscribed(usage())
    done, refused = at_once(
        *[lambda amount=amount: agree(subscription, "price", "tokens", price=per_unit(amount)) for amount in ("1", "2")]
    )
    assert (done, refused[:40]) == ("", "“Price” of tokens is agreed from 2023-11")
    assert SubscriptionTerm.objects.count() == 1


def test_two_who_undo_one_term_undo_it_once() -> None:
    subscription = subscribed(fee())
    term = agree(subscription, "factor", factor="2")
    assert at_once(*[lambda: undo_term(term=term, **WHY)] * 2) == [
        "", "This was changed meanwhile: look at what is agreed again.",
    ]  # fmt: skip


def test_two_subscriptions_cannot_add_one_meter_at_once() -> None:
    customer, calls = make_customer(), make_meter("calls", aggregation="count", value="")
    subscriptions = [
        make_subscription(make_contract(customer), make_version(fee(), plan=plan)) for plan in ("one", "other")
    ]

    def add(place: int) -> None:
        charge = Charge(name="Calls", kind="usage", pay="in_arrears", meter=calls)
        add_charge(
            subscription=subscriptions[place], code="calls", charge=charge, price=per_unit("1"),
            start=date(2023, 11, 1), **WHY,
        )  # fmt: skip

    done, refused = at_once(lambda: add(0), lambda: add(1))
    assert done == ""
    assert "Meter calls is counted by another subscription" in refused
    assert Charge.objects.filter(subscription__isnull=False).count() == 1
