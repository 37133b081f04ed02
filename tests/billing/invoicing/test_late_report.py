"""The report of late usage: who, what, when, and what became of it; it ties with the lines."""

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from billing.invoicing.late.report import Filters, Row, late_usage
from billing.invoicing.models import Invoice, InvoiceLine
from billing.invoicing.services import approve, issue, run_billing, send_back
from billing.metering.rollups.services import catch_up
from billing.periods import Period
from customers.models import Contract, UsageSubject
from tests.billing.invoicing.test_late import billed, correct, policy, rated, tiered, use
from tests.factories import NOW, bill, bill_and_issue, make_meter, make_subscription, make_version, send_events, usage

pytestmark = pytest.mark.django_db
NOVEMBER = Period(datetime(2023, 11, 1, tzinfo=UTC), datetime(2023, 12, 1, tzinfo=UTC))
EVER = Period(datetime(2023, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC))
LATER = datetime(2024, 1, 20, 8, tzinfo=UTC)


def report(**more: Any) -> list[Row]:
    return late_usage(Filters(**({"period": NOVEMBER} | more)), NOW)


def told(row: Row) -> tuple[Any, ...]:
    return row.fate, row.came, row.taken, row.quantity, row.amount


@pytest.mark.parametrize("rolled_up", [False, True])
def test_what_waits_for_a_run_is_told_with_what_it_will_come_to(rolled_up: bool) -> None:
    contract = tiered()
    use(contract, 90)
    bill_and_issue("2023-12-01")
    use(contract, 20, now=LATER)
    use(contract, 10, now=LATER)
    if rolled_up:
        catch_up()
    [row] = report()
    assert told(row) == ("waiting", 2, 0, Decimal(30), Decimal(20))
    assert (row.customer, row.meter and row.meter.code, row.cycle) == (contract.customer, "tokens", NOVEMBER)
    assert (row.first_at, row.last_at) == (LATER, LATER)
    assert row.reason == "The next billing run takes it in."


def test_it_goes_from_a_draft_to_approved_to_billed_and_names_the_document() -> None:
    contract = tiered()
    use(contract, 90)
    bill_and_issue("2023-12-01")
    use(contract, 30)
    [draft] = bill("2024-01-01")
    fates = [(told(row)[0], row.invoice) for row in report()]
    approve(invoice_ids=[draft.pk], user=None, now=NOW)
    fates += [(row.fate, row.invoice) for row in report()]
    issue(invoice_ids=[draft.pk], user=None, now=NOW)
    fates += [(row.fate, row.invoice) for row in report()]
    assert fates == [("draft", draft), ("approved", draft), ("billed", draft)]
    assert told(report()[0]) == ("billed", 1, 0, Decimal(30), Decimal(20))


def test_late_twice_is_two_rows_each_with_its_own_document() -> None:
    contract = tiered()
    use(contract, 90)
    bill_and_issue("2023-12-01")
    use(contract, 30)
    bill_and_issue("2024-01-01")
    catch_up()
    use(contract, 100)
    bill_and_issue("2024-02-01")
    rows = sorted(report(), key=lambda row: row.invoice.number if row.invoice else "")
    assert [told(row) for row in rows] == [
        ("billed", 1, 0, Decimal(30), Decimal(20)), ("billed", 1, 0, Decimal(100), Decimal(50))]  # fmt: skip


def test_a_correction_is_told_with_what_was_taken_back() -> None:
    contract = tiered()
    use(contract, 90, id="a")
    bill_and_issue("2023-12-01")
    correct(contract, ["a"], 60)
    [row] = report()
    assert told(row) == ("waiting", 1, 1, Decimal(-30), Decimal(-30))


def test_usage_that_changes_nothing_is_told_too() -> None:
    contract = tiered()
    use(contract, 90)
    bill_and_issue("2023-12-01")
    use(contract, 0)
    [row] = report()
    assert told(row) == ("nothing", 1, 0, Decimal(0), Decimal(0))
    assert row.reason == "It comes to the same amount."


def test_a_run_that_holds_says_why_it_waits() -> None:
    contract = tiered()
    contract.entity.negative = "next_invoice"
    contract.entity.save()
    use(contract, 90, id="a")
    bill_and_issue("2023-12-01")
    correct(contract, ["a"])
    bill("2023-12-01")
    [row] = report()
    assert (row.fate, row.amount) == ("held", Decimal(-90))
    assert row.reason.startswith("Credits outweigh charges")


def test_usage_within_the_grace_of_an_open_draft_is_told_as_in_time() -> None:
    contract = tiered()
    policy(contract, grace=60, grace_unit="days")
    use(contract, 90, now=datetime(2023, 11, 11, tzinfo=UTC))
    catch_up()
    use(contract, 30, now=datetime(2023, 12, 2, tzinfo=UTC))
    catch_up()
    [draft] = bill("2023-12-01")
    [row] = report()
    assert (row.fate, row.came, row.quantity, row.amount, row.invoice) == ("grace", 1, Decimal(30), None, draft)


def test_a_subject_that_is_claimed_later_changes_a_cycle_without_anything_having_come() -> None:
    contract = tiered()
    use(contract, 90)
    send_events(subject="stray", time="2023-11-10T12:00:00Z", data={"tokens": 30})
    bill_and_issue("2023-12-01")
    assert report() == []
    UsageSubject.objects.create(customer=contract.customer, subject="stray")
    bill("2023-12-01")
    [row] = report()
    assert told(row) == ("draft", 0, 0, None, Decimal(20))


def test_it_is_narrowed_by_customer_and_meter() -> None:
    contracts = [tiered(), tiered()]
    for contract in contracts:
        use(contract, 90)
    bill_and_issue("2023-12-01")
    for contract in contracts:
        use(contract, 30)
    assert len(report()) == 2
    [row] = report(customer_ids=(contracts[1].customer_id,))
    assert row.contract == contracts[1]
    assert report(meter="other") == []
    assert report(period=Period(datetime(2023, 12, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC))) == []


def test_of_an_amount_and_its_minimum_the_sum_is_told() -> None:
    contract = tiered(model="per_unit", unit_amount="1", minimum_amount="50")
    use(contract, 20)
    bill_and_issue("2023-12-01")
    use(contract, 10)
    [row] = report()
    assert (row.fate, row.amount) == ("nothing", Decimal(0))
    use(contract, 40)
    bill("2023-12-01")
    assert sum((row.amount or 0 for row in report()), Decimal(0)) == Decimal(20)


def test_usage_counts_by_the_meter_that_a_customer_agreed_on() -> None:
    contract = tiered()
    make_subscription(contract, make_version(usage("calls", make_meter("calls", aggregation="count", value="")),
                                             plan="calls"), code="calls")  # fmt: skip
    use(contract, 90)
    bill_and_issue("2023-12-01")
    use(contract, 30)
    found = {row.meter.code: row.quantity for row in report() if row.meter}
    assert found == {"tokens": Decimal(30), "calls": Decimal(1)}


DAY = st.sampled_from(["2023-11-10", "2023-12-05", "2024-01-07"])
ACT = st.one_of(
    st.tuples(st.just("use"), DAY, st.integers(0, 120)),
    st.tuples(st.just("void"), DAY, st.just(0)),
    st.tuples(st.just("run"), st.sampled_from(["2023-12-01", "2024-01-01", "2024-02-01"]), st.just(0)),
    st.tuples(st.sampled_from(["approve", "issue", "send back", "roll up"]), st.just(""), st.just(0)),
)


class World:
    """A contract whose usage comes in any order, is voided, billed, approved, issued and sent back."""

    def __init__(self, late: str) -> None:
        self.contract: Contract = tiered()
        policy(self.contract, late=late)
        self.used: dict[str, tuple[str, int]] = {}
        self.sent = 0

    def act(self, what: str, day: str, tokens: int) -> None:
        match what:
            case "use":
                self.sent += 1
                use(self.contract, tokens, day, id=f"u{self.contract.pk}-{self.sent}", now=LATER)
                self.used[f"u{self.contract.pk}-{self.sent}"] = day, tokens
            case "void":
                mine = [id_ for id_, (when, _) in self.used.items() if when == day]
                if mine:
                    correct(self.contract, mine[:1])
                    del self.used[mine[0]]
            case "run":
                run_billing(as_of=date.fromisoformat(day), now=NOW)
            case "approve":
                approve(invoice_ids=list(Invoice.objects.filter(state="draft").values_list("pk", flat=True)),
                        user=None, now=NOW)  # fmt: skip
            case "issue":
                issue(invoice_ids=list(Invoice.objects.filter(state="approved").values_list("pk", flat=True)),
                      user=None, now=NOW)  # fmt: skip
            case "send back":
                last = Invoice.objects.filter(state="approved").order_by("-pk").first()
                if last and not InvoiceLine.objects.filter(
                    corrects__invoice=last, invoice__state__in=["approved", "issued"]
                ):
                    send_back(invoice_id=last.pk, user=None, reason="Look again", now=NOW)
            case "roll up":
                catch_up()


@given(late=st.sampled_from(["next", "apart"]), acts=st.lists(ACT, max_size=14))
@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_whatever_happens_the_report_ties_with_the_lines_and_every_cycle_with_its_usage(
    late: str, acts: list[tuple[str, str, int]]
) -> None:
    Invoice.objects.filter(state="draft").delete()

    world = World(late)
    try:
        for act in acts:
            world.act(*act)
        world.act("run", "2024-02-01", 0)
        months = [sum(n for when, n in world.used.values() if when[:7] == month)
                  for month in ("2023-11", "2023-12", "2024-01")]  # fmt: skip
        assert billed(world.contract) == sum(map(rated, months), Decimal(0))
        rows = late_usage(Filters(EVER, (world.contract.customer_id,)), NOW)
        mine = InvoiceLine.objects.filter(stream__contract=world.contract, corrects__isnull=False)
        assert sum((row.amount or Decimal(0) for row in rows), Decimal(0)) == sum(
            mine.values_list("amount", flat=True), Decimal(0)
        )
        assert not [row for row in rows if row.fate in ("waiting", "held")]
    finally:
        Contract.objects.filter(pk=world.contract.pk).update(end=None)


def test_the_page_shows_the_rows_and_the_file_has_them_exactly(admin_client: Client) -> None:
    contract = tiered()
    use(contract, 90)
    bill_and_issue("2023-12-01")
    use(contract, 30, now=LATER)
    address = reverse("admin:billing_late_usage")
    page = admin_client.get(address, {"month": "2023-11"})
    text = page.content.decode()
    assert "Waits for a run" in text
    assert "USD 20.00" in text
    content = admin_client.get(address, {"month": "2023-11", "format": "csv"}).content.decode()
    [row] = csv.DictReader(io.StringIO(content))
    assert (row["contract"], row["events_came"], row["amount"], row["quantity"]) == (contract.number, "1", "20", "30")
    assert (
        "Nothing arrived late for the cycles in October 2023"
        in admin_client.get(address, {"month": "2023-10"}).content.decode()
    )


def test_the_number_of_queries_does_not_grow_with_the_contracts() -> None:
    counts = []
    for more in (2, 6):
        contracts = [tiered() for _ in range(more)]
        for contract in contracts:
            use(contract, 90)
        bill_and_issue("2023-12-01")
        for contract in contracts:
            use(contract, 30)
        catch_up()
        with CaptureQueriesContext(connection) as queries:
            assert len(report()) >= more
        counts.append(len(queries))
    assert counts[0] == counts[1]
