"""A run leaves out what cannot have changed: what computing everything would leave as it is."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.catalog.errors import CatalogError
from billing.catalog.services import change_subscription, end_subscription, subscribe
from billing.catalog.terms.errors import TermsError
from billing.catalog.terms.models import SubscriptionTerm
from billing.catalog.terms.services import set_term, undo_term
from billing.invoicing.errors import InvoicingError
from billing.invoicing.holds.models import Hold
from billing.invoicing.holds.services import release
from billing.invoicing.marks.models import Mark
from billing.invoicing.marks.selecting import needed
from billing.invoicing.models import Invoice, InvoiceLine
from billing.invoicing.services import approve, issue, run_billing, send_back
from billing.metering.corrections.criteria import Criteria
from billing.metering.corrections.errors import CorrectionError
from billing.metering.corrections.services import void
from billing.metering.rollups.services import catch_up
from billing.periods import Period
from customers.errors import CustomerError
from customers.models import Contract, Customer
from customers.services import claim_subject, date_claim
from tests.factories import (
    NOW,
    fee,
    make_contract,
    make_customer,
    make_meter,
    make_subscription,
    make_version,
    send_events,
    usage,
)

pytestmark = pytest.mark.django_db
START: Final = date(2023, 11, 1)
TIERS: Final = {"model": "graduated", "minimum_amount": "6", "tiers": [
    {"up_to": "100", "unit_amount": "0.10", "flat_amount": "1"}, {"up_to": None, "unit_amount": "0.03"}]}  # fmt: skip
DAYS: Final = st.integers(0, 120)
WHO: Final = st.integers(0, 2)
FACTS: Final = (
    "use", "void", "claim", "give up", "seats", "cadence", "end", "subscribe", "term", "spend", "undo", "roll up",
)  # fmt: skip
MOVES: Final = ("run", "run", "run", "approve", "issue", "send back", "delete")
ACTION: Final = st.tuples(st.sampled_from([*FACTS, *MOVES]), WHO, DAYS, st.integers(1, 90))


class Book:
    """Three contracts of two customers in different zones and cadences, with fees, tiers and peaks."""

    def __init__(self) -> None:
        first, second = make_customer("first"), make_customer("second")
        self.customers: list[Customer] = [first, second, second]
        self.contracts: list[Contract] = [
            make_contract(first),
            make_contract(second, timezone="America/New_York", anchor_day=15),
            make_contract(second, cadence="P2W"),
        ]
        seats = fee("seats") | {"price": {"model": "per_unit", "unit_amount": "31"}}
        peaks = usage("peaks", make_meter("peaks", aggregation="max"), model="per_unit", unit_amount="0.5")
        tokens = make_meter("tokens")
        self.version = make_version(seats, usage("tokens", tokens, **TIERS))
        self.other = make_version(seats, usage("tokens", tokens, **TIERS) | {"cadence": "P3M"})
        self.peaks = make_version(fee("peaky"), peaks)
        versions = [self.version, self.version, self.peaks]
        self.subscriptions = [
            make_subscription(contract, version)
            for contract, version in zip(self.contracts, versions, strict=True)
        ]  # fmt: skip

    def act(self, what: str, who: int, day: int, amount: int) -> None:
        try:
            with transaction.atomic():
                self.fact(what, who, START + timedelta(day), amount)
                self.move(what, START + timedelta(day))
        except (CatalogError, CustomerError, TermsError, InvoicingError, CorrectionError):
            pass  # it was refused, with nothing kept: as good a history as any

    def fact(self, what: str, who: int, when: date, amount: int) -> None:
        customer, subscription = self.customers[who], self.subscriptions[who]
        match what:
            case "use":
                send_events(
                    subject=customer.external_id if amount % 5 else "unclaimed", time=f"{when}T10:00:00Z",
                    data={"tokens": amount}, now=datetime(2024, 6, 1, tzinfo=UTC),
                )  # fmt: skip
            case "void":
                start = datetime(when.year, when.month, when.day, tzinfo=UTC)
                criteria = Criteria(subject=customer.external_id, period=Period(start, start + timedelta(amount)))
                void(criteria=criteria, reason="Sent twice", user=None, now=datetime(2024, 6, 1, tzinfo=UTC))
            case "claim":
                start = datetime(when.year, when.month, when.day, tzinfo=UTC)
                claim_subject(customer=customer, subject="unclaimed", valid_from=start)
            case "give up":
                for claim in customer.subjects.filter(subject="unclaimed"):
                    at = (claim.valid_from or NOW) + timedelta(amount)
                    date_claim(claim=claim, valid_from=claim.valid_from, valid_to=at)
            case "seats":
                change_subscription(subscription=subscription, at=when, quantity=Decimal(amount % 5 + 1), now=NOW)
            case "cadence":
                change_subscription(subscription=subscription, at=when, version=self.other, now=NOW)
            case "end":
                end_subscription(subscription=subscription, at=when, now=NOW)
            case "subscribe":
                code = f"more-{self.contracts[who].subscriptions.count()}"
                subscribe(contract=self.contracts[who], version=self.peaks, code=code, start=when, now=NOW)
            case "term":
                value = {"percentage": str(amount)}
                set_term(
                    subscription=subscription, kind="discount", value=value, start=when, reason="Agreed", user=None,
                    now=NOW, code="tokens",
                )  # fmt: skip
            case "spend":
                set_term(
                    subscription=subscription, kind="minimum_spend", value={"amount": str(amount * 3), "per": "cycle"},
                    start=when, reason="Agreed", user=None, now=NOW,
                )  # fmt: skip
            case "undo":
                for term in SubscriptionTerm.objects.filter(subscription=subscription, superseded_at=None)[:1]:
                    undo_term(term=term, reason="A mistake", user=None, now=NOW)
            case "roll up":
                catch_up()

    def move(self, what: str, when: date) -> None:
        match what:
            case "run":
                run_billing(as_of=when, now=NOW)
                self.check(when)
            case "approve":
                approve(invoice_ids=ids("draft"), user=None, now=NOW)
            case "issue":
                issue(invoice_ids=ids("approved")[:1], user=None, now=NOW)
            case "send back":
                for invoice_id in ids("approved")[-1:]:
                    send_back(invoice_id=invoice_id, user=None, reason="Look again", now=NOW)
            case "delete":
                Invoice.objects.filter(id__in=ids("draft")[:1]).delete()

    def check(self, when: date) -> None:
        """Right after a run, computing everything changes nothing."""
        before = content()
        run = run_billing(as_of=when, now=NOW, full=True)
        assert content() == before
        assert {each.result for each in run.outcomes.all()} <= {"unchanged", "held"}


def ids(state: str) -> list[int]:
    return list(Invoice.objects.filter(state=state).order_by("id").values_list("id", flat=True))


def content() -> list[tuple[object, ...]]:
    """Everything that drafts say."""
    fields = ("invoice", "stream", "kind", "service_start", "service_end", "desired", "amount", "steps")
    return list(InvoiceLine.objects.order_by("invoice", "position").values_list(*fields))


def play(history: list[tuple[str, int, int, int]]) -> None:
    with transaction.atomic():
        book = Book()
        for action in history:
            book.act(*action)
        for when in (date(2024, 4, 1), date(2024, 4, 2), date(2024, 9, 1)):
            book.act("run", 0, (when - START).days, 1)
        connection.check_constraints()
        transaction.set_rollback(True)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=5)
@given(st.lists(ACTION, max_size=10))
def test_whatever_happens_a_run_leaves_nothing_for_a_full_one(history: list[tuple[str, int, int, int]]) -> None:
    play(history)


@pytest.mark.deep
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=400)
@given(st.lists(ACTION, max_size=40))
def test_after_long_histories_a_run_leaves_nothing_for_a_full_one(history: list[tuple[str, int, int, int]]) -> None:
    play(history)


def test_it_works() -> None:
    make_subscription(version=make_version(fee(), usage()))
    assert outcomes(run_at("2023-11-01")) == ["drafted"]
    assert outcomes(run_at("2023-11-02")) == []
    assert outcomes(run_at("2023-11-30")) == []
    assert outcomes(run_at("2023-12-01")) == ["drafted"]
    assert Mark.objects.get().due_on == date(2024, 1, 1)


def test_usage_of_the_running_period_needs_no_computing_and_late_usage_does() -> None:
    contract = make_contract()
    make_subscription(contract, make_version(fee(), usage()))
    run_at("2023-12-05")
    use(contract, "2023-12-06T10:00:00Z")
    assert needed(as_of=date(2023, 12, 7)) == []
    catch_up()
    assert needed(as_of=date(2023, 12, 7)) == []
    use(contract, "2023-11-30T10:00:00Z")
    assert needed(as_of=date(2023, 12, 7)) == [contract.pk]
    catch_up()
    assert needed(as_of=date(2023, 12, 7)) == [contract.pk]
    run_at("2023-12-07")
    assert needed(as_of=date(2023, 12, 7)) == []


def test_a_claim_an_own_term_and_a_draft_taken_away_are_computed_again() -> None:
    contract, other = make_contract(), make_contract(make_customer("other"))
    version = make_version(fee(), usage())
    subscription = make_subscription(contract, version)
    make_subscription(other, version)
    run_at("2023-12-01")
    assert needed(as_of=date(2023, 12, 1)) == []
    claim_subject(customer=contract.customer, subject="more")
    assert needed(as_of=date(2023, 12, 1)) == [contract.pk]
    run_at("2023-12-01")
    set_term(
        subscription=subscription, kind="discount", value={"percentage": "10"}, start=START, reason="Agreed", user=None,
        now=NOW, code="tokens",
    )  # fmt: skip
    assert needed(as_of=date(2023, 12, 1)) == [contract.pk]
    run_at("2023-12-01")
    Invoice.objects.filter(contract=other).delete()
    assert needed(as_of=date(2023, 12, 1)) == [other.pk]


def test_a_contract_that_is_held_is_looked_at_by_every_run_until_it_is_drafted() -> None:
    """A hold that stands, and one that was released."""
    good, held = make_contract(), make_contract(make_customer("held"))
    version = make_version(fee(), usage())
    for contract in (good, held):
        make_subscription(contract, version)
    send_events(subject="held", time="2023-11-10T10:00:00Z", data={"tokens": "many"})
    assert outcomes(run_at("2023-12-01")) == ["drafted", "held"]
    catch_up()
    for _ in range(2):
        assert needed(as_of=date(2023, 12, 1)) == [held.pk]
        assert outcomes(run_at("2023-12-01")) == ["held"]
    release(hold_id=Hold.objects.get().pk, user=None, reason="A test of the customer’s", now=NOW)
    assert needed(as_of=date(2023, 12, 1)) == [held.pk]
    assert outcomes(run_at("2023-12-01")) == ["drafted"]
    assert needed(as_of=date(2023, 12, 1)) == []


def test_the_queries_of_an_empty_run_do_not_grow_with_contracts() -> None:
    version = make_version(fee(), usage())
    counts = []
    for name in ("one", "two"):
        for place in range(2):
            make_subscription(make_contract(make_customer(f"{name}-{place}")), version)
        run_at("2023-12-01")
        with CaptureQueriesContext(connection) as queries:
            run_at("2023-12-01")
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 30


def run_at(day: str) -> object:
    return run_billing(as_of=date.fromisoformat(day), now=NOW)


def outcomes(run: object) -> list[str]:
    return [each.result for each in run.outcomes.all()]  # type: ignore[attr-defined]


def use(contract: Contract, time: str) -> None:
    send_events(subject=contract.customer.external_id, time=time, data={"tokens": 5})
