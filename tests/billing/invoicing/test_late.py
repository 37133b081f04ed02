"""Usage that came late, or was corrected, after its cycle was billed; drafts that wait; small and zero invoices."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, transaction

from billing.invoicing.late.arrived import known_to
from billing.invoicing.late.errors import BadPolicy
from billing.invoicing.late.models import EarlyApproval, InvoicingPolicy
from billing.invoicing.late.queries import waiting
from billing.invoicing.late.services import set_policy
from billing.invoicing.models import Invoice, InvoiceLine
from billing.invoicing.services import approve, issue, send_back
from billing.metering.corrections.criteria import Changes, Criteria
from billing.metering.corrections.services import replace, void
from billing.metering.models import EventBatch
from billing.metering.rollups.services import catch_up
from billing.pricing import parse_price, rate
from customers.models import Contract
from tests.factories import (
    NOW,
    bill,
    bill_and_issue,
    fee,
    make_contract,
    make_entity,
    make_subscription,
    make_version,
    send_events,
    usage,
)

pytestmark = pytest.mark.django_db
TIERS = {"model": "graduated", "tiers": [
    {"up_to": "100", "unit_amount": "1"}, {"up_to": None, "unit_amount": "0.5"}]}  # fmt: skip


def tiered(contract: Contract | None = None, **price: Any) -> Contract:
    contract = contract or make_contract()
    make_subscription(contract, make_version(usage(**(price or TIERS))))
    return contract


def use(contract: Contract, tokens: int, day: str = "2023-11-10", *, id: str = "", now: datetime = NOW) -> None:
    named = {"id": id} if id else {}
    send_events(subject=contract.customer.external_id, time=f"{day}T12:00:00Z", data={"tokens": tokens}, now=now,
                **named)  # fmt: skip


def correct(contract: Contract, ids: list[str], tokens: int | None = None) -> None:
    criteria = Criteria(source="test", ids=tuple(ids))
    if tokens is None:
        void(criteria=criteria, reason="It was sent by mistake", user=None, now=NOW)
    else:
        changes = Changes(data={"tokens": tokens})
        replace(criteria=criteria, changes=changes, reason="It was counted wrong", user=None, now=NOW)


def policy(contract: Contract, **said: Any) -> InvoicingPolicy:
    return set_policy(contract=contract, since=date(2023, 1, 1), reason="As agreed", user=None, now=NOW, **said)


def billed(contract: Contract) -> Decimal:
    lines = InvoiceLine.objects.filter(stream__contract=contract).exclude(kind="recurring")
    return sum(lines.values_list("amount", flat=True), Decimal(0))


def rated(tokens: int) -> Decimal:
    return rate(parse_price(TIERS | {"currency": "USD"}), Decimal(tokens)).amount


def test_late_usage_is_priced_in_the_tier_where_all_of_it_ends() -> None:
    contract = tiered()
    use(contract, 90)
    [first] = bill_and_issue("2023-12-01")
    use(contract, 30)
    [second] = bill_and_issue("2024-01-01")
    adjustment = second.lines.get(corrects__isnull=False)
    assert (adjustment.corrects.invoice, adjustment.amount) == (first, Decimal(20))  # 10 at 1, and 20 at 0.5
    assert adjustment.late == {"came": 1, "taken": 0, "given": 0, "was": "90.000000000000"}
    assert billed(contract) == rated(120)


def test_usage_that_comes_late_twice_is_told_each_time_from_what_was_billed_last() -> None:
    contract = tiered()
    use(contract, 90)
    bill_and_issue("2023-12-01")
    use(contract, 5)
    use(contract, 5)
    [second] = bill_and_issue("2024-01-01")
    catch_up()
    use(contract, 100)
    [third] = bill("2024-02-01")
    assert second.lines.get(corrects__isnull=False).late["came"] == 2
    last = third.lines.get(slot__cycle_start=datetime(2023, 11, 1, tzinfo=UTC))
    assert (last.late["came"], last.late["was"], last.amount) == (1, "100.000000000000", Decimal(50))
    assert billed(contract) == rated(200)


@pytest.mark.parametrize("rolled_up", [False, True])
def test_events_that_are_taken_back_after_issue_are_credited_and_told(rolled_up: bool) -> None:
    contract = tiered()
    use(contract, 90, id="a")
    use(contract, 30, id="b")
    if rolled_up:
        catch_up()
    bill_and_issue("2023-12-01")
    correct(contract, ["b"])
    use(contract, 200, "2023-12-05")
    [second] = bill("2024-01-01")
    adjustment = second.lines.get(corrects__isnull=False)
    assert (adjustment.amount, adjustment.late["came"], adjustment.late["taken"]) == (Decimal(-20), 0, 1)
    assert billed(contract) == rated(90) + rated(200)


def test_an_event_that_is_replaced_after_issue_tells_both_what_came_and_what_was_taken_back() -> None:
    contract = tiered()
    use(contract, 90, id="a")
    bill_and_issue("2023-12-01")
    correct(contract, ["a"], 60)
    [credit] = bill("2023-12-02")
    assert credit.kind == Invoice.Kind.CREDIT_NOTE
    adjustment = credit.lines.get()
    assert (adjustment.amount, adjustment.late["came"], adjustment.late["taken"]) == (Decimal(-30), 1, 1)
    assert billed(contract) == rated(60)


def test_by_setting_a_difference_goes_at_once_on_an_invoice_of_its_own_beside_the_regular_one() -> None:
    contract = tiered()
    policy(contract, late="apart")
    use(contract, 90)
    [first] = bill_and_issue("2023-12-01")
    use(contract, 30)
    use(contract, 7, "2023-12-05")
    regular, apart = sorted(bill("2024-01-01"), key=lambda each: each.apart)
    assert (regular.apart, regular.net, apart.apart, apart.net) == (False, Decimal(7), True, Decimal(20))
    assert apart.lines.get().corrects.invoice == first
    assert apart.kind == Invoice.Kind.INVOICE
    assert [each.number for each in bill_and_issue("2024-01-01")] == ["ACME-000002", "ACME-000003"]
    assert billed(contract) == rated(120) + rated(7)


def test_by_setting_a_correction_goes_at_once_on_a_credit_note() -> None:
    contract = tiered()
    set_policy(entity=contract.entity, since=date(2023, 1, 1), late="apart", reason="x", user=None, now=NOW)
    use(contract, 90, id="a")
    bill_and_issue("2023-12-01")
    correct(contract, ["a"], 60)
    use(contract, 500, "2023-12-05")
    bill("2024-01-01")
    assert dict(Invoice.objects.filter(state="draft").values_list("kind", "net")) == {
        "credit_note": Decimal(-30), "invoice": rated(500)}  # fmt: skip


def test_a_contract_keeps_its_own_setting_before_that_of_its_seller() -> None:
    contract = tiered()
    set_policy(entity=contract.entity, since=date(2023, 1, 1), late="apart", reason="x", user=None, now=NOW)
    policy(contract, late="next")
    use(contract, 90)
    bill_and_issue("2023-12-01")
    use(contract, 30)
    [draft] = bill("2024-01-01")
    assert not draft.apart


def test_what_comes_late_while_an_invoice_is_approved_goes_on_a_following_draft() -> None:
    contract = tiered()
    use(contract, 90)
    [invoice] = bill("2023-12-01")
    approve(invoice_ids=[invoice.pk], user=None, now=NOW)
    use(contract, 30)
    [following] = bill("2023-12-01")
    assert following.lines.get().late["came"] == 1
    assert billed(contract) == rated(120)
    send_back(invoice_id=invoice.pk, user=None, reason="There is more", now=NOW)
    [again] = bill("2023-12-01")
    assert (again.pk, again.net, again.lines.get().late) == (invoice.pk, rated(120), None)


def test_sending_back_takes_the_invoice_of_differences_with_it() -> None:
    contract = tiered()
    policy(contract, late="apart")
    use(contract, 90)
    [invoice] = bill("2023-12-01")
    approve(invoice_ids=[invoice.pk], user=None, now=NOW)
    use(contract, 30)
    bill("2023-12-01")
    send_back(invoice_id=invoice.pk, user=None, reason="There is more", now=NOW)
    assert list(Invoice.objects.values_list("apart", flat=True)) == [False]
    [again] = bill("2023-12-01")
    assert again.net == rated(120)


def test_a_draft_that_stands_knows_what_came_and_changed_nothing() -> None:
    contract = tiered()
    use(contract, 90)
    [draft] = bill("2023-12-01")
    use(contract, 0)
    [same] = bill("2023-12-01")
    newest = EventBatch.objects.latest("no")
    known = [known_to([each])[each.pk].includes(newest.no, newest.position) for each in (draft, same)]
    assert (same.pk, known) == (draft.pk, [False, True])


NOON = datetime(2023, 12, 1, 12, tzinfo=UTC)


def test_a_draft_stays_open_for_usage_until_its_grace_is_over() -> None:
    contract = tiered()
    policy(contract, grace=2, grace_unit="days")
    use(contract, 90)
    [draft] = bill("2023-12-01", now=NOON)
    early = approve(invoice_ids=[draft.pk], user=None, now=NOON)
    assert early.done == []
    [(_, reason)] = early.skipped
    assert reason == (
        f"Draft {draft.pk} stays open for late usage until 2023-12-03 00:00 (UTC), 2 days after its cycle ended. "
        "Approve it then, or approve it early with a reason."
    )
    use(contract, 30)
    [draft] = bill("2023-12-01", now=NOON)
    assert draft.net == rated(120)
    assert approve(invoice_ids=[draft.pk], user=None, now=datetime(2023, 12, 3, tzinfo=UTC)).done == [draft]


def test_an_open_draft_is_approved_early_with_a_reason_that_is_kept() -> None:
    contract = tiered()
    policy(contract, grace=36)
    use(contract, 90)
    [draft] = bill("2023-12-01", now=NOON)
    assert approve(invoice_ids=[draft.pk], user=None, now=NOON, early="They asked for it").done == [draft]
    kept = EarlyApproval.objects.get()
    assert (kept.invoice, kept.reason) == (draft, "They asked for it")
    assert kept.waited_for.startswith("stays open for late usage until 2023-12-02 12:00 (UTC), 36 hours")


def test_days_of_grace_are_days_of_the_contract_even_when_clocks_change() -> None:
    contract = tiered(make_contract(timezone="Europe/Berlin", start=date(2024, 3, 1), anchor_day=30))
    policy(contract, grace=2, grace_unit="days")
    use(contract, 90, "2024-03-10")
    [draft] = bill("2024-03-30")
    found = waiting([draft], datetime(2024, 3, 30, 12, tzinfo=UTC))
    assert found[draft.pk].until == datetime(2024, 3, 31, 22, tzinfo=UTC)  # midnight in Berlin, in summer


def test_fees_in_advance_wait_for_no_usage() -> None:
    contract = make_contract()
    make_subscription(contract, make_version(fee()))
    policy(contract, grace=5, grace_unit="days")
    [draft] = bill("2023-11-01")
    assert approve(invoice_ids=[draft.pk], user=None, now=datetime(2023, 11, 1, tzinfo=UTC)).done == [draft]


def test_grace_counts_from_the_end_of_a_contract_within_its_cycle() -> None:
    contract = tiered(make_contract(end=date(2023, 11, 16)))
    policy(contract, grace=1, grace_unit="days")
    use(contract, 90)
    [draft] = bill("2023-11-16")
    assert waiting([draft], datetime(2023, 11, 16, tzinfo=UTC))[draft.pk].until == datetime(2023, 11, 17, tzinfo=UTC)


def test_an_invoice_below_the_smallest_is_carried_to_the_next_with_nothing_lost() -> None:
    contract = tiered()
    policy(contract, threshold=Decimal(10), currency="USD")
    use(contract, 4)
    [small] = bill("2023-12-01")
    [(_, reason)] = approve(invoice_ids=[small.pk], user=None, now=NOW).skipped
    assert "comes to USD 4.00, below the smallest invoice of USD 10.00, and is carried to the next one" in reason
    use(contract, 8, "2023-12-05")
    [grown] = bill_and_issue("2024-01-01")
    assert (grown.pk, grown.net, grown.lines.count()) == (small.pk, Decimal(12), 2)


def test_the_last_invoice_of_a_contract_is_sent_however_small_it_is() -> None:
    contract = tiered(make_contract(end=date(2023, 12, 1)))
    policy(contract, threshold=Decimal(10), currency="USD")
    use(contract, 4)
    [issued] = bill_and_issue("2023-12-01")
    assert issued.net == Decimal(4)


def test_a_smallest_invoice_holds_for_its_own_currency_alone() -> None:
    contract = tiered()
    for currency in ("USD", "EUR"):
        set_policy(entity=contract.entity, since=date(2023, 1, 1), threshold=Decimal(10), currency=currency,
                   reason="x", user=None, now=NOW)  # fmt: skip
    use(contract, 4)
    [draft] = bill("2023-12-01")
    assert waiting([draft], NOW)[draft.pk].short == "Carried"
    with pytest.raises(BadPolicy, match=r"is billed in USD: give its smallest invoice in that\."):
        policy(contract, threshold=Decimal(10), currency="EUR")


def test_an_invoice_of_zero_is_carried_where_it_is_set_so() -> None:
    contract = tiered()
    policy(contract, zero="carry")
    [draft] = bill("2023-12-01")
    [(_, reason)] = approve(invoice_ids=[draft.pk], user=None, now=NOW).skipped
    assert "comes to nothing, and is carried to the next invoice" in reason
    use(contract, 8, "2023-12-05")
    [issued] = bill_and_issue("2024-01-01")
    assert issued.lines.count() == 2


def test_an_invoice_of_zero_is_recorded_and_not_sent_where_it_is_set_so() -> None:
    contract = tiered()
    policy(contract, zero="skip")
    [draft] = bill("2023-12-01")
    assert approve(invoice_ids=[draft.pk], user=None, now=NOW).done == [draft]
    result = issue(invoice_ids=[draft.pk], user=None, now=NOW)
    assert (result.done, result.skipped) == ([], [(draft, "It comes to nothing: recorded, and not sent.")])
    draft.refresh_from_db()
    assert (draft.state, draft.number) == ("skipped", None)
    assert bill("2023-12-01") == []  # the slot stands recorded at zero
    use(contract, 5)
    [late] = bill_and_issue("2023-12-02")
    assert (late.number, late.net, late.lines.get().late["came"]) == ("ACME-000001", Decimal(5), 1)
    with pytest.raises(DatabaseError, match="Cannot update"), transaction.atomic():
        Invoice.objects.filter(pk=draft.pk).update(group="other")


def test_an_invoice_of_zero_is_issued_where_nobody_says_otherwise() -> None:
    tiered()
    [issued] = bill_and_issue("2023-12-01")
    assert (issued.number, issued.total) == ("ACME-000001", Decimal(0))


def test_an_invoice_whose_lines_only_add_up_to_zero_is_sent() -> None:
    contract = tiered()
    policy(contract, zero="skip")
    use(contract, 10, id="a")
    bill_and_issue("2023-12-01")
    correct(contract, ["a"])
    use(contract, 10, "2023-12-05")
    [issued] = bill_and_issue("2024-01-01")
    assert (issued.total, issued.state) == (Decimal(0), "issued")


def test_a_policy_holds_from_its_day_on_and_is_never_edited() -> None:
    contract = tiered()
    said = set_policy(contract=contract, since=date(2024, 1, 1), zero="carry", reason="x", user=None, now=NOW)
    assert len(bill_and_issue("2023-12-01")) == 1
    [draft] = bill("2024-01-01")
    assert waiting([draft], NOW + timedelta(days=90))[draft.pk].short == "Carried"
    with pytest.raises(DatabaseError, match="Cannot update"), transaction.atomic():
        InvoicingPolicy.objects.filter(pk=said.pk).update(zero="issue")


@pytest.mark.parametrize("said", [{}, {"threshold": Decimal(1)}, {"zero": "skip", "entity": True}])
def test_a_policy_that_says_nothing_or_is_of_two_is_refused(said: dict[str, Any]) -> None:
    contract = make_contract()
    if said.pop("entity", None):
        said["entity"] = make_entity()
    with pytest.raises((IntegrityError, BadPolicy)):
        policy(contract, **said)
