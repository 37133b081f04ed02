"""What holds of the books whatever the history: docs/books.md, invariants 1, 2, 4, 5, 6, 7, 8 and 9."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F, Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.invoicing.models import Invoice
from customers.models import Contract
from revenue.ledger.models import JournalEntry, JournalLine, Obligation, Recognition
from revenue.ledger.periods import next_month
from revenue.ledger.services import close_period, post_documents, preview_recognition, recognise
from revenue.reports.ties import ties
from revenue.reports.trial_balance import trial_balance
from tests.factories import bill_and_issue, fee, make_contract, make_subscription, make_version, send_events, usage
from tests.revenue.helpers import D, numbers_are_gapless, pay

pytestmark = pytest.mark.django_db
MONTHS = [date(2023, 11, 1), date(2023, 12, 1), date(2024, 1, 1)]
# A history takes half a second: six by default, a hundred and more with HYPOTHESIS_PROFILE=deep.
EXAMPLES = max(6, settings.default.max_examples // 8)
FEW = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


@dataclass(frozen=True)
class Usage:
    """Tokens used on a day of a month, reported `late` months after."""

    day: int
    tokens: int
    late: int


@dataclass(frozen=True)
class Month:
    """What happens in a month and at its end."""

    used: Sequence[Usage]
    bill_first: bool
    recognise: bool
    close: bool
    paid: int


usages = st.builds(Usage, day=st.integers(1, 28), tokens=st.integers(0, 5000), late=st.integers(0, 2))
months = st.builds(
    Month, used=st.lists(usages, max_size=3), bill_first=st.booleans(), recognise=st.booleans(), close=st.booleans(),
    paid=st.integers(0, 100),
)  # fmt: skip
histories = st.lists(months, min_size=len(MONTHS), max_size=len(MONTHS))
terms = st.one_of(
    st.fixed_dictionaries({"cadence": st.sampled_from(["P1M", "P3M"]), "anchor_day": st.integers(1, 31)}),
    st.fixed_dictionaries({"cadence": st.just("P2W"), "anchor_day": st.integers(1, 7)}),
)
fees = st.decimals("0.01", "999.99", places=2)


def start(contract_terms: dict[str, Any], amount: Decimal) -> Contract:
    """A contract with a fee and usage that is cheaper in bulk, so that late usage may cost less than nothing."""
    contract = make_contract(start=MONTHS[0], **contract_terms)
    tiers = [
        {"up_to": "3000", "unit_amount": "0.013"},
        {"up_to": None, "unit_amount": "0.004"},
    ]
    priced = usage(model="volume", tiers=tiers)
    make_subscription(contract, make_version(fee(amount=str(amount)), priced, plan=f"plan-{contract.pk}"))
    return contract


def live(contract: Contract, month: date, events: Sequence[tuple[date, int]], plan: Month) -> None:
    """Report usage, bill, recognise, pay and close at the end of a month."""
    ends = datetime.fromisoformat(f"{next_month(month)}T06:00:00+00:00")
    subject = contract.customer.external_id
    rows = [{"subject": subject, "time": f"{day}T12:00:00Z", "data": {"tokens": tokens}} for day, tokens in events]
    if rows:
        send_events(rows, now=ends)
    if plan.bill_first:
        issue(contract, ends, plan.paid)
    if plan.recognise or plan.close:
        recognise(through=month, now=ends)
    if not plan.bill_first:
        issue(contract, ends, plan.paid)
    if plan.close:
        recognise(through=month, now=ends)
        for each in MONTHS[: MONTHS.index(month) + 1]:
            if not contract.entity.periods.filter(month=each, state="closed").exists():
                close_period(entity=contract.entity, month=each, user=None, now=ends)


def issue(contract: Contract, now: datetime, paid: int) -> None:
    """Bill what fell due, unless it is held for a negative total; pay a share of it."""
    for invoice in bill_and_issue(now.date().isoformat(), contract, now=now):
        amount = (invoice.total * paid / 100).quantize(D("0.01"))
        if amount > 0:
            pay(invoice, str(amount), invoice.issue_date.isoformat())


def play(contract: Contract, history: Sequence[Month]) -> None:
    """The whole history, month by month, with the invariants checked after each."""
    reported: dict[date, list[tuple[date, int]]] = {month: [] for month in MONTHS}
    for index, (month, plan) in enumerate(zip(MONTHS, history, strict=True)):
        for each in plan.used:
            reported[MONTHS[min(index + each.late, 2)]].append((month + timedelta(days=each.day - 1), each.tokens))
    sealed: dict[date, list[Any]] = {}
    for month, plan in zip(MONTHS, history, strict=True):
        live(contract, month, reported[month], plan)
        check(contract, month, sealed)


def check(contract: Contract, month: date, sealed: dict[date, list[Any]]) -> None:
    """What must hold at any moment."""
    connection.check_constraints()
    assert ties().hold  # 5 and 6
    report = trial_balance(entity=contract.entity, month=month)
    assert report.difference("USD") == 0  # 2
    before = trial_balance(entity=contract.entity, month=MONTHS[0])
    following = trial_balance(entity=contract.entity, month=MONTHS[1])
    opening = {row.account.code: row.opening for row in following.rows}
    assert all(opening[row.account.code] == row.closing for row in before.rows)  # 7
    assert numbers_are_gapless()
    for period in contract.entity.periods.filter(state="closed"):
        content = list(period.entries.order_by("number").values())
        assert sealed.setdefault(period.month, content) == content  # 8


@given(history=histories, contract_terms=terms, amount=fees)
@FEW
def test_it_works(history: list[Month], contract_terms: dict[str, Any], amount: Decimal) -> None:
    with transaction.atomic():
        contract = start(contract_terms, amount)

        play(contract, history)
        now = datetime.fromisoformat("2024-02-01T07:00:00+00:00")
        recognise(through=MONTHS[-1], now=now)

        assert preview_recognition(through=MONTHS[-1]) == []  # 4
        entries = JournalEntry.objects.count()
        assert (post_documents(now=now), recognise(through=MONTHS[-1], now=now).entries) == (0, 0)
        assert JournalEntry.objects.count() == entries
        for obligation in Obligation.objects.filter(kind="series_time").prefetch_related("schedule"):
            assert sum(line.amount for line in obligation.schedule.all()) == obligation.price  # 1
            recognised = [0, *running(obligation)]
            sign = 1 if obligation.price > 0 else -1
            assert all(0 <= sign * each <= sign * obligation.price for each in recognised)  # 9
            assert sorted(recognised, key=lambda each: sign * each) == recognised
        unbalanced = JournalLine.objects.values("entry", "currency").annotate(net=Sum(F("debit") - F("credit")))
        assert not unbalanced.exclude(net=0).exists()  # 2
        transaction.set_rollback(True)


def running(obligation: Obligation) -> list[Decimal]:
    """What was recognised of an obligation by the end of each service month."""
    total, totals = D(0), []
    for each in Recognition.objects.filter(obligation=obligation).order_by("month", "revision"):
        total += each.amount
        totals.append(total)
    return totals


@given(history=histories, order=st.randoms(use_true_random=False))
@FEW
def test_when_usage_was_reported_changes_no_months_revenue(history: list[Month], order: Any) -> None:
    """Invariant 4, second half: by service month, revenue depends on what was used, not on when it was heard of."""
    now = datetime.fromisoformat("2024-02-01T07:00:00+00:00")
    with transaction.atomic():
        slow = start({}, D("10.00"))
        play(slow, history)
        recognise(through=MONTHS[-1], now=now)

        prompt = start({}, D("10.00"))
        events = [
            (month + timedelta(days=each.day - 1), each.tokens)
            for month, plan in zip(MONTHS, history, strict=True)
            for each in plan.used
        ]
        order.shuffle(events)
        live(prompt, MONTHS[-1], events, Month([], bill_first=False, recognise=True, close=False, paid=0))

        assert by_service_month(slow) == by_service_month(prompt)
        transaction.set_rollback(True)


def by_service_month(contract: Contract) -> dict[date, Decimal]:
    """Usage revenue of a contract by the month it was used in."""
    rows = Recognition.objects.filter(obligation__contract=contract, obligation__kind="usage")
    sums = rows.values_list("month").annotate(total=Sum("amount")).order_by("month")
    return {month: total for month, total in sums if total}


@given(history=histories)
@FEW
def test_deferred_revenue_is_gone_once_the_service_is_over(history: list[Month]) -> None:
    """Invariant 10: what was billed for service up to a month is recognised by its end."""
    with transaction.atomic():
        contract = start({}, D("33.33"))
        play(contract, history)
        last = Invoice.objects.filter(contract=contract).count()
        recognise(through=date(2024, 3, 1), now=datetime.fromisoformat("2024-04-01T00:00:00+00:00"))

        report = trial_balance(entity=contract.entity, month=date(2024, 3, 1))

        assert last > 0
        assert {row.account.code: row.closing for row in report.rows}["2100"] == 0
        transaction.set_rollback(True)
