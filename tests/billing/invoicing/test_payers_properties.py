"""Random histories of a family of customers: whoever pays when, everything is billed once, and to somebody right."""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.db.models import Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.invoicing.models import Invoice, InvoiceLine, RunOutcome
from billing.invoicing.services import approve, issue, run_billing, send_back
from customers.models import Customer
from customers.services import set_payer
from revenue.ledger.services import post_documents
from revenue.ledger.ties import ties
from tests.billing.saying import say
from tests.factories import (
    NOW,
    fee,
    make_contract,
    make_customer,
    make_subscription,
    make_version,
    send_events,
    usage,
)

pytestmark = pytest.mark.django_db
START, LAST = date(2023, 11, 1), date(2024, 2, 1)
PER_MONTH = 93  # a whole number of cents a day in months of 30 and of 31 days: no rounding

WHO = st.integers(0, 2)
DAYS = st.integers(0, 85)
ACTION = st.one_of(
    st.tuples(st.just("pay"), WHO, DAYS, WHO),
    st.tuples(st.just("use"), WHO, DAYS, st.integers(1, 90)),
    st.tuples(st.just("seats"), WHO, DAYS, st.integers(0, 3)),
    st.tuples(st.just("group"), WHO, st.just(0), st.integers(0, 1)),
    st.tuples(st.just("run"), st.integers(0, 3), DAYS, st.just(0)),
    st.tuples(st.sampled_from(["approve", "issue", "send back"]), st.just(0), st.just(0), st.just(0)),
)


class Family:
    """Three customers with a contract each, which pay for each other."""

    def __init__(self) -> None:
        version = make_version(fee("seats") | {"price": {"model": "per_unit", "unit_amount": str(PER_MONTH)}}, usage())
        self.people: list[Customer] = [make_customer(f"person-{each}") for each in range(3)]
        self.contracts = [make_contract(each) for each in self.people]
        self.subscriptions = [make_subscription(each, version) for each in self.contracts]
        self.changes: list[dict[date, int]] = [{START: 1} for _ in self.people]
        self.tokens = [0, 0, 0]
        self.payers: list[dict[date, int]] = [{} for _ in self.people]

    def act(self, what: str, who: int, day: int, amount: int) -> None:
        when = START + timedelta(day)
        match what:
            case "pay":
                set_payer(customer=self.people[who], payer=self.people[amount], start=when, now=NOW)
                self.payers[who][when] = amount
            case "use":
                send_events(
                    subject=f"person-{who}", time=f"{when}T10:00:00Z", data={"tokens": amount},
                    now=datetime(2024, 6, 1, tzinfo=UTC),
                )  # fmt: skip
                self.tokens[who] += amount
            case "seats":
                say(subscription=self.subscriptions[who], at=when, quantity=Decimal(amount), now=NOW)
                self.changes[who][when] = amount
            case "group":
                self.contracts[who].invoice_group = ["", "Apart"][amount]
                self.contracts[who].save()
            case "run":  # over one, or all
                run_billing(
                    as_of=when, now=NOW, contract_ids=[self.contracts[who].pk] if who < len(self.contracts) else None
                )
            case "approve":
                approve(invoice_ids=ids("draft"), user=None, now=NOW)
            case "issue":
                issue(invoice_ids=ids("approved")[:1], user=None, now=NOW)
            case "send back":
                for invoice_id in ids("approved")[-1:]:
                    send_back(invoice_id=invoice_id, user=None, reason="Look again", now=NOW)

    def payer_of(self, line: InvoiceLine) -> Customer:
        """Who pays, by hand."""
        who = self.people.index(line.stream.contract.customer)
        begun = [day for day in self.payers[who] if day <= line.service_start.date()]
        return self.people[self.payers[who][max(begun)]] if begun else self.people[who]

    def seats(self, who: int, day: date) -> int:
        """As the last change up to that day has it, whenever it was recorded."""
        return self.changes[who][max(each for each in self.changes[who] if each <= day)]

    def owed(self, who: int) -> Decimal:
        """What a contract owes in all, by hand."""
        days = [START + timedelta(day) for day in range((LAST - START).days)]
        cents = sum(self.seats(who, day) * PER_MONTH * 100 // monthrange(day.year, day.month)[1] for day in days)
        return Decimal(cents) / 100 + self.seats(who, LAST) * PER_MONTH + Decimal(self.tokens[who]) / 100


def ids(state: str) -> list[int]:
    return list(Invoice.objects.filter(state=state).order_by("id").values_list("id", flat=True))


def check_drafts(family: Family) -> None:
    """Every line stands where it belongs: with who was billed, or with who pays from its first day on."""
    for line in InvoiceLine.objects.select_related("invoice__customer", "stream__contract__customer", "corrects"):
        if line.corrects:
            assert line.corrects.invoice.customer == line.invoice.customer
        elif line.invoice.state == "draft":
            assert line.invoice.customer == family.payer_of(line)
            assert line.invoice.group == line.stream.contract.invoice_group


def check_records(family: Family) -> None:
    billed = dict(InvoiceLine.objects.order_by().values_list("stream__contract").annotate(Sum("amount")))
    assert [billed[each.pk] for each in family.contracts] == [family.owed(who) for who in range(3)]
    for kind in Invoice.Kind.values:
        found = Invoice.objects.filter(kind=kind).order_by("sequence")
        assert [each.sequence for each in found] == list(range(1, len(found) + 1))
        assert all((each.total < 0) == (kind == "credit_note") for each in found)
    post_documents(now=NOW)
    assert ties().hold


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=8)
@given(st.lists(ACTION, max_size=14))
def test_it_works(history: list[tuple[str, int, int, int]]) -> None:
    play(history)


@pytest.mark.deep
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=300)
@given(st.lists(ACTION, max_size=30))
def test_long_histories_of_a_family_bill_everything_once(history: list[tuple[str, int, int, int]]) -> None:
    play(history)


def play(history: list[tuple[str, int, int, int]]) -> None:
    with transaction.atomic():
        family = Family()
        for action in history:
            family.act(*action)
        for _ in range(2):  # what was sent back comes again
            run_billing(as_of=LAST, now=NOW)
            check_drafts(family)
            known = ids("approved") + ids("draft")
            approve(invoice_ids=known, user=None, now=NOW)
            assert issue(invoice_ids=known, user=None, now=NOW).skipped == []
        again = run_billing(as_of=LAST, now=NOW, full=True)
        assert set(RunOutcome.objects.filter(run=again).values_list("result", flat=True)) == {"unchanged"}
        assert ids("draft") == []
        check_records(family)
        transaction.set_rollback(True)
