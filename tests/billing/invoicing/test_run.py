"""The billing run: desired − recorded becomes drafts, and only what is due and not recorded stands on them."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.catalog.services import change_subscription, end_subscription
from billing.invoicing.errors import LaterInvoice
from billing.invoicing.models import BillingRun, Coverage, Invoice, InvoiceLine, RunOutcome
from billing.invoicing.services import approve, issue, run_billing, send_back
from customers.models import Contract
from tests.factories import (
    NOW,
    amounts,
    bill,
    bill_and_issue,
    fee,
    make_contract,
    make_customer,
    make_entity,
    make_meter,
    make_subscription,
    make_version,
    send_events,
    usage,
)

pytestmark = pytest.mark.django_db


def use(contract: object, day: str, tokens: int, **fields: object) -> None:
    report = send_events(
        subject=contract.customer.external_id,
        time=f"{day}T12:00:00Z",
        data={"tokens": tokens},
        **fields,  # type: ignore[attr-defined]
    )
    assert report.accepted == 1


def test_it_works() -> None:
    contract = make_contract()
    make_subscription(contract, make_version(fee(), usage()))
    (first,) = bill_and_issue("2023-11-01")
    assert amounts(first) == [("Platform", Decimal("100.00"))]
    use(contract, "2023-11-15", 250)
    (second,) = bill_and_issue("2023-12-01")
    assert amounts(second) == [("Platform", Decimal("100.00")), ("Tokens", Decimal("2.50"))]
    assert (second.number, second.total) == ("ACME-000002", Decimal("102.50"))


def test_a_second_run_changes_nothing() -> None:
    make_subscription()
    (draft,) = bill("2023-11-01")
    lines = list(draft.lines.values_list("id", flat=True))
    (again,) = bill("2023-11-01", now=datetime(2024, 2, 1, tzinfo=UTC))
    assert (again.id, again.updated_at, list(again.lines.values_list("id", flat=True))) == (draft.id, NOW, lines)
    run_billing(as_of=date(2023, 11, 1), now=NOW, full=True)
    assert list(RunOutcome.objects.order_by("run_id").values_list("result", flat=True)) == ["drafted", "unchanged"]


def test_a_draft_is_recomputed_in_place() -> None:
    contract = make_contract()
    make_subscription(contract, make_version(usage()))
    use(contract, "2023-11-10", 100)
    (draft,) = bill("2023-12-01")
    use(contract, "2023-11-11", 150)
    (again,) = bill("2023-12-01")
    assert (again.id, again.total) == (draft.id, Decimal("2.50"))


def test_an_earlier_run_does_not_shrink_a_draft() -> None:
    make_subscription()
    (draft,) = bill("2023-12-01")
    (again,) = bill("2023-11-01")
    assert (again.total, draft.total) == (Decimal("200.00"), Decimal("200.00"))


def test_late_usage_of_an_issued_period_becomes_an_adjustment_of_the_difference_in_total() -> None:
    contract = make_contract()
    graduated = {"model": "graduated", "tiers": [
        {"up_to": "100", "unit_amount": "0.10"}, {"up_to": None, "unit_amount": "0.01"}]}  # fmt: skip
    make_subscription(contract, make_version(usage(**graduated)))
    use(contract, "2023-11-10", 90)
    (first,) = bill_and_issue("2023-12-01")
    assert first.total == Decimal("9.00")
    use(contract, "2023-11-20", 60)  # 10 of them in the first tier, 50 above: 1.50, not 6.00
    (second,) = bill_and_issue("2024-01-01")
    adjustment = second.lines.get(corrects__isnull=False)
    assert (adjustment.amount, adjustment.billed_before, adjustment.desired) == tuple(
        map(Decimal, ("1.50", "9.00", "10.50"))
    )
    assert (adjustment.corrects.invoice, adjustment.revision) == (first, 2)
    assert second.total == Decimal("1.50")


def test_late_usage_while_an_invoice_is_approved_goes_to_a_following_draft() -> None:
    contract = make_contract()
    make_subscription(contract, make_version(usage()))
    use(contract, "2023-11-10", 100)
    (first,) = bill("2023-12-01")
    approve(invoice_ids=[first.id], user=None, now=NOW)
    use(contract, "2023-11-11", 50)
    (following,) = bill("2023-12-01")
    assert following.id != first.id
    assert amounts(following) == [("Tokens", Decimal("0.50"))]
    first.refresh_from_db()
    assert first.total == Decimal("1.00")


def test_a_slot_without_usage_is_billed_at_zero_and_once() -> None:
    make_subscription(version=make_version(usage()))
    (first,) = bill_and_issue("2023-12-01")
    assert amounts(first) == [("Tokens", Decimal("0.00"))]
    assert bill("2023-12-01") == []


def test_a_fee_of_a_stub_is_prorated_by_day() -> None:
    contract = make_contract(start=date(2023, 11, 16), anchor_day=1)
    make_subscription(contract)
    (draft,) = bill("2023-11-16")
    assert [(line.amount, line.fraction) for line in draft.lines.all()] == [(Decimal("50.00"), "1/2")]


def test_cycles_are_cut_in_the_contracts_zone() -> None:
    contract = make_contract(timezone="Asia/Tokyo")
    make_subscription(contract, make_version(usage()))
    send_events(subject=contract.customer.external_id, time="2023-11-30T14:59:59.999999Z", data={"tokens": 100})
    send_events(subject=contract.customer.external_id, time="2023-11-30T15:00:00Z", data={"tokens": 900})
    (draft,) = bill("2023-12-01")
    assert draft.total == Decimal("1.00")


def test_more_seats_in_mid_cycle_are_credited_and_charged_by_the_day() -> None:
    contract = make_contract()
    seats = make_version({"code": "seats", "kind": "recurring", "price": {"model": "per_unit", "unit_amount": "30"}})
    subscription = make_subscription(contract, seats, quantity=Decimal(2))
    (first,) = bill_and_issue("2023-11-01")
    change_subscription(subscription=subscription, at=date(2023, 11, 21), quantity=Decimal(5), now=NOW)
    (second,) = bill_and_issue("2023-11-21")
    assert amounts(second) == [("Seats", Decimal("50.00")), ("Seats", Decimal("-20.00"))]
    assert second.lines.get(amount__lt=0).corrects.invoice == first
    assert Coverage.objects.filter(credited_by=None).count() == 2


def test_credits_that_outweigh_charges_hold_the_contract_with_the_reason() -> None:
    contract = make_contract(entity=make_entity(negative="next_invoice"))
    subscription = make_subscription(contract)
    bill_and_issue("2023-11-01")
    end_subscription(subscription=subscription, at=date(2023, 11, 16), now=NOW)
    assert bill("2023-11-16") == []
    held = RunOutcome.objects.get(result="held")
    assert held.reason == (
        "Credits outweigh charges by USD 50: they wait for a later invoice that they can be set against."
    )


def test_one_contract_that_cannot_be_billed_does_not_stop_the_others() -> None:
    make_entity(negative="next_invoice")
    bad, good = make_contract(start=date(2023, 11, 1)), make_contract()
    subscription = make_subscription(bad)
    make_subscription(good, make_version(plan="other"))
    bill_and_issue("2023-11-01")
    end_subscription(subscription=subscription, at=date(2023, 11, 16), now=NOW)
    (draft,) = bill("2023-12-01")
    assert draft.contract == good


def test_a_draft_contract_and_one_that_starts_later_are_not_billed() -> None:
    contract = make_contract()
    make_subscription(contract)
    version = make_version(plan="other")
    make_subscription(make_contract(start=date(2023, 11, 2)), version)
    draft = Contract.objects.create(
        number="DRAFT", customer=make_customer(), entity=contract.entity, start=contract.start, currency="USD"
    )
    make_subscription(draft, version)
    assert [each.contract for each in bill("2023-11-01")] == [contract]


def test_sending_back_frees_what_was_recorded_and_drops_the_following_draft() -> None:
    contract = make_contract()
    make_subscription(contract, make_version(fee(), usage()))
    (first,) = bill("2023-12-01")
    approve(invoice_ids=[first.id], user=None, now=NOW)
    use(contract, "2023-11-11", 50)
    (following,) = bill("2023-12-01")
    back = send_back(invoice_id=first.id, user=None, reason="Wrong PO number", now=NOW)
    assert (back.state, back.returned_reason) == ("draft", "Wrong PO number")
    assert not Invoice.objects.filter(id=following.id).exists()
    assert not Coverage.objects.exists()
    assert not InvoiceLine.objects.filter(revision__isnull=False).exists()
    (again,) = bill("2023-12-01")
    assert (again.id, again.total) == (first.id, Decimal("200.50"))


def test_sending_back_needs_a_reason_and_no_later_invoice() -> None:
    contract = make_contract()
    make_subscription(contract, make_version(usage()))
    (first,) = bill("2023-12-01")
    approve(invoice_ids=[first.id], user=None, now=NOW)
    with pytest.raises(ValueError, match="Say why"):
        send_back(invoice_id=first.id, user=None, reason=" ", now=NOW)
    use(contract, "2023-11-11", 50)
    (following,) = bill("2023-12-01")
    approve(invoice_ids=[following.id], user=None, now=NOW)
    with pytest.raises(ValueError, match="A later invoice builds on approved"):
        send_back(invoice_id=first.id, user=None, reason="Wrong", now=NOW)
    send_back(invoice_id=following.id, user=None, reason="Wrong", now=NOW)
    send_back(invoice_id=first.id, user=None, reason="Wrong", now=NOW)


def test_a_double_click_approves_and_issues_once() -> None:
    make_subscription()
    (draft,) = bill("2023-11-01")
    for verb, wrong in ((approve, "approved"), (issue, "issued")):
        assert [each.id for each in verb(invoice_ids=[draft.id], user=None, now=NOW).done] == [draft.id]
        ((_, reason),) = verb(invoice_ids=[draft.id], user=None, now=NOW).skipped
        assert f"cannot be {wrong}" in reason


def test_numbers_follow_one_another_and_dates_never_go_back() -> None:
    make_subscription()
    (first,) = bill_and_issue("2023-11-01", now=datetime(2023, 12, 2, tzinfo=UTC))
    assert (first.number, first.issue_date, first.due_date) == (
        "ACME-000001", date(2023, 12, 2), date(2024, 1, 1))  # fmt: skip
    (draft,) = bill("2023-12-01")
    approve(invoice_ids=[draft.id], user=None, now=NOW)
    ((_, reason),) = issue(invoice_ids=[draft.id], user=None, now=datetime(2023, 12, 1, tzinfo=UTC)).skipped
    assert reason == "The last invoice of Acme AI GmbH is dated 2023-12-02: one dated 2023-12-01 cannot follow it."


def test_two_contracts_of_a_customer_in_groups_of_their_own_get_an_invoice_each() -> None:
    customer = make_customer()
    one, two = (make_contract(customer, invoice_group=group) for group in ("one", "two"))
    make_subscription(one, make_version(fee(), usage()))
    make_subscription(two, make_version(fee(amount="7"), plan="other"))
    assert [draft.total for draft in bill("2023-11-01")] == [Decimal("100.00"), Decimal("7.00")]


def test_a_version_with_a_new_price_rates_each_side_of_the_change() -> None:
    contract = make_contract()
    old, new = make_version(usage()), make_version(usage(model="per_unit", unit_amount="0.02"))
    subscription = make_subscription(contract, old)
    change_subscription(subscription=subscription, at=date(2023, 11, 16), version=new, now=NOW)
    use(contract, "2023-11-15", 100)
    use(contract, "2023-11-16", 100)
    (draft,) = bill("2023-12-01")
    (line,) = draft.lines.all()
    assert (line.amount, line.quantity, len(line.steps)) == (Decimal("3.00"), Decimal(200), 2)


def test_a_maximum_is_not_split_by_a_change_of_terms() -> None:
    contract = make_contract()
    peak = make_meter("peak", aggregation="max", unit="seat")
    old = make_version(usage("peak", peak, model="per_unit", unit_amount="1"))
    new = make_version(usage("peak", peak, model="per_unit", unit_amount="2"))
    subscription = make_subscription(contract, old)
    change_subscription(subscription=subscription, at=date(2023, 11, 16), version=new, now=NOW)
    use(contract, "2023-11-15", 5)
    use(contract, "2023-11-16", 7)
    (draft,) = bill("2023-12-01")
    assert [(line.amount, line.quantity) for line in draft.lines.all()] == [(Decimal("7.00"), Decimal(7))]


def test_the_number_of_queries_does_not_grow_with_the_contracts_of_a_chunk() -> None:
    version = make_version(fee(), usage())
    counts = []
    for size in (1, 3, 12):
        for _ in range(size):
            contract = make_contract()
            make_subscription(contract, version)
            use(contract, "2023-11-11", 50)
        with CaptureQueriesContext(connection) as queries:
            run_billing(as_of=date(2023, 12, 1), now=NOW, full=True)
        counts.append(len(queries))
    assert BillingRun.objects.count() == 3
    assert Invoice.objects.count() == 16
    assert counts[1] == counts[2]  # the first found no drafts, and had none to compare


def test_an_invoice_whose_names_cannot_be_printed_is_not_issued() -> None:
    contract = make_contract(make_customer(legal_name="विद्युत निगम"))
    make_subscription(contract)
    (draft,) = bill("2023-11-01")
    approve(invoice_ids=[draft.id], user=None, now=NOW)
    ((_, reason),) = issue(invoice_ids=[draft.id], user=None, now=NOW).skipped
    assert reason.endswith("cannot show “विद्युतनगम”: write the names with other characters.")


def test_what_a_later_invoice_charged_anew_keeps_its_credit_from_going_back() -> None:
    contract = make_contract()
    make_subscription(contract, make_version(fee(), usage()))
    bill_and_issue("2023-11-01")
    use(contract, "2023-11-10", 9000)
    Contract.objects.filter(pk=contract.pk).update(end=date(2023, 11, 16))
    (first,) = bill("2023-11-16")
    assert amounts(first) == [("Tokens", Decimal("90.00")), ("Platform", Decimal("-50.00"))]
    approve(invoice_ids=[first.id], user=None, now=NOW)
    Contract.objects.filter(pk=contract.pk).update(end=None)
    (following,) = bill("2023-11-16")
    assert amounts(following) == [("Platform", Decimal("50.00"))]
    approve(invoice_ids=[following.id], user=None, now=NOW)
    with pytest.raises(LaterInvoice, match="A later invoice builds on approved"):
        send_back(invoice_id=first.id, user=None, reason="Wrong", now=NOW)
    send_back(invoice_id=following.id, user=None, reason="Wrong", now=NOW)
    send_back(invoice_id=first.id, user=None, reason="Wrong", now=NOW)
