"""Invoices hold what their facts came to when they were computed, whatever was learned since."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.catalog.changes.options import Options
from billing.catalog.changes.services import undo_change
from billing.catalog.coupons.models import Coupon
from billing.catalog.errors import CatalogError
from billing.catalog.free.models import SubscriptionFreeTime
from billing.catalog.free.services import pause, undo_free_time
from billing.catalog.services import change_subscription
from billing.catalog.terms.errors import TermsError
from billing.catalog.units.models import CustomUnit
from billing.invoicing.errors import InvoicingError
from billing.invoicing.models import Invoice, InvoiceLine
from billing.invoicing.services import approve, issue, run_billing
from billing.metering.corrections import services as corrections
from billing.metering.corrections.criteria import Criteria
from billing.metering.rollups import services as rollups
from billing.periods import Period
from billing.verification.services import verify
from customers.services import claim_subject, date_claim
from tests.billing.invoicing.agreed import apply, make_coupon
from tests.billing.invoicing.test_histories import ACTION, DAYS, START, TIERS, World
from tests.factories import NOW, fee, make_contract, make_subscription, make_version, send_events, usage

pytestmark = pytest.mark.django_db
DECEMBER = date(2023, 12, 1)
NOVEMBER = Period(datetime(2023, 11, 1, tzinfo=UTC), datetime(2023, 12, 1, tzinfo=UTC))


def charges() -> tuple[dict[str, Any], ...]:
    return fee("seats"), usage(**TIERS)


def issued(as_of: date = DECEMBER) -> None:
    """Bill, approve and issue everything."""
    run_billing(as_of=as_of, now=NOW)
    ids = list(Invoice.objects.filter(state__in=["draft", "approved"]).order_by("id").values_list("id", flat=True))
    approve(invoice_ids=ids, user=None, now=NOW)
    issue(invoice_ids=ids, user=None, now=NOW)


def told() -> list[tuple[str, list[str]]]:
    found = verify(invoice_ids=Invoice.objects.values_list("id", flat=True))
    return [(each.result, each.reasons) for each in found]


def test_it_works() -> None:
    """Usage that came late, a change in the past and a correction are learned after the invoice: it is equal still."""
    contract = make_contract()
    subscription = make_subscription(contract, make_version(*charges()))
    subject = contract.customer.external_id
    send_events(subject=subject, data={"tokens": 250}, time="2023-11-10T00:00:00Z")
    issued()
    assert told() == [("equal", [])]
    send_events(subject=subject, data={"tokens": 7}, time="2023-11-11T00:00:00Z")
    change_subscription(subscription=subscription, at=date(2023, 11, 15), quantity=Decimal(5), now=NOW)
    corrections.void(criteria=Criteria(subject=subject, period=NOVEMBER), reason="wrong", user=None, now=NOW)
    rollups.catch_up()
    assert told() == [("equal", [])]
    issued()
    assert [result for result, _ in told()] == ["equal", "equal"]
    assert InvoiceLine.objects.filter(invoice=Invoice.objects.first(), corrects__isnull=False).exists()


def test_a_claim_that_changes_hands_later_changes_no_invoice() -> None:
    contract, other = make_contract(), make_contract(number="C-2")
    make_subscription(contract, make_version(usage()))
    (claim,) = contract.customer.subjects.all()
    send_events(subject=claim.subject, data={"tokens": 250}, time="2023-11-10T00:00:00Z")
    issued()
    date_claim(claim=claim, valid_from=None, valid_to=datetime(2023, 11, 1, tzinfo=UTC))
    claim_subject(customer=other.customer, subject=claim.subject, valid_from=datetime(2023, 11, 1, tzinfo=UTC))
    assert [result for result, _ in told()] == ["equal"]


def test_what_was_not_billed_as_it_should_is_found() -> None:
    """An amount that somebody forged in the database, past all triggers."""
    contract = make_contract()
    make_subscription(contract, make_version(*charges()))
    send_events(subject=contract.customer.external_id, data={"tokens": 250}, time="2023-11-10T00:00:00Z")
    issued()
    line = InvoiceLine.objects.filter(kind="usage", amount__gt=0).first()
    assert line is not None
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            "UPDATE billing_invoiceline SET amount = amount + 1, desired = desired + 1 WHERE id = %s", [line.pk]
        )
        cursor.execute("SET LOCAL session_replication_role = origin")
    ((result, reasons),) = told()
    assert result == "different"
    assert any("comes to" in reason and "amount" in reason for reason in reasons)
    assert any("Its lines come to" in reason for reason in reasons)


def test_nothing_is_written() -> None:
    contract = make_contract()
    make_subscription(contract, make_version(*charges()))
    issued()
    before = counts()
    assert told() == [("equal", [])]
    assert counts() == before
    assert not CustomUnit.objects.exists()


def counts() -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '^(billing|customers|revenue)_'")
        tables = [name for (name,) in cursor.fetchall()]
        found = {}
        for table in tables:
            cursor.execute(f'SELECT count(*) FROM "{table}"')
            (found[table],) = cursor.fetchone()
    return found


def test_time_that_was_paid_and_given_up_is_known_to_have_been_given_up() -> None:
    """Unused time is not credited and the new fee charged in full; a credit of nothing says so, and verifies too."""
    contract = make_contract()
    basic, pro = (
        make_version(fee("seats") | {"price": {"model": "per_unit", "unit_amount": amount}}) for amount in ("50", "100")
    )
    subscription = make_subscription(contract, basic)
    issued(date(2023, 11, 1))
    options = Options(unused="none", fees="full")
    change_subscription(subscription=subscription, at=date(2023, 11, 16), version=pro, options=options, now=NOW)
    issued(date(2023, 11, 16))
    issued()
    assert told() == [("equal", [])] * 3
    assert [invoice.net for invoice in Invoice.objects.order_by("id")] == [50, 100, 100]
    assert InvoiceLine.objects.filter(corrects__isnull=False, amount=0).exists()


FACTS = st.one_of(
    ACTION,
    st.tuples(st.sampled_from(["change", "coupon", "pause"]), DAYS, st.integers(0, 17)),
    st.tuples(st.sampled_from(["undo a change", "undo a pause"]), st.just(0), st.just(0)),
)


def learn(world: World, what: str, day: int, amount: int) -> None:
    """One fact or one move; what is refused leaves nothing."""
    when, subscription = START + timedelta(day), world.subscription
    try:
        with transaction.atomic():
            match what:
                case "change":
                    options = Options(
                        unused=("credit", "none")[amount % 2], fees=("prorated", "full", "next_period")[amount % 3],
                        anchor=("", "kept", "change")[amount // 6],
                    )  # fmt: skip
                    quantity = Decimal(amount % 4 + 1)
                    change_subscription(subscription=subscription, at=when, quantity=quantity, options=options, now=NOW)
                case "coupon":
                    coupon = make_coupon(f"C-{Coupon.objects.count()}", duration="forever", percentage=str(amount + 1))
                    apply(coupon, world.contract, when.isoformat())
                case "pause":
                    until = when + timedelta(amount + 1)
                    pause(subscription=subscription, start=when, end=until, reason="Asked", user=None, now=NOW)
                case "undo a change":
                    for change in subscription.changes.filter(undone_at=None).order_by("-pk")[:1]:
                        undo_change(change=change, reason="A mistake", user=None, now=NOW)
                case "undo a pause":
                    for free in SubscriptionFreeTime.objects.filter(undone_at=None)[:1]:
                        undo_free_time(free=free, reason="A mistake", user=None, now=NOW)
                case _:
                    world.act(what, day, amount)
    except (CatalogError, TermsError, InvoicingError):
        pass


def play_facts(history: list[tuple[str, int, int]]) -> None:
    """A history of whatever can be agreed, and a look at every invoice that it left."""
    with transaction.atomic():
        world = World()
        for each in history:
            learn(world, *each)
        issued(date(2024, 5, 1))
        for each in verify(invoice_ids=Invoice.objects.values_list("id", flat=True)):
            assert (each.result, each.reasons) == ("equal", []), each.invoice
        transaction.set_rollback(True)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=6)
@given(st.lists(FACTS, max_size=12))
def test_invoices_of_changes_coupons_and_pauses_are_equal(history: list[tuple[str, int, int]]) -> None:
    play_facts(history)


@pytest.mark.deep
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=200)
@given(st.lists(FACTS, min_size=6, max_size=25))
def test_invoices_of_200_histories_of_changes_coupons_and_pauses_are_equal(
    history: list[tuple[str, int, int]],
) -> None:
    play_facts(history)


def play(history: list[tuple[str, int, int]]) -> None:
    """A history, and a look at every invoice that it left."""
    with transaction.atomic():
        world = World()
        for what, day, amount in history:
            world.act(what, day, amount)
            if what == "run" and amount == 0 and day % 3 == 0:
                rollups.step()
        world.settle(date(2024, 5, 1))
        for each in verify(invoice_ids=Invoice.objects.values_list("id", flat=True)):
            assert (each.result, each.reasons) == ("equal", []), each.invoice
        transaction.set_rollback(True)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=6)
@given(st.lists(ACTION, max_size=14))
def test_every_invoice_of_a_random_history_is_equal(history: list[tuple[str, int, int]]) -> None:
    play(history)


@pytest.mark.deep
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=200)
@given(st.lists(ACTION, min_size=6, max_size=30))
def test_every_invoice_of_200_random_histories_is_equal(history: list[tuple[str, int, int]]) -> None:
    play(history)
