"""Drafts assessed by runs, four eyes, policies, and many invoices at once, in the database."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from billing.invoicing.models import Invoice, NumberSeries
from billing.invoicing.review import approving
from billing.invoicing.review.models import Approval, Assessment, Preparation
from billing.invoicing.review.queries import unassessed
from billing.invoicing.review.services import assess, prepared, set_policy
from billing.invoicing.services import approve, issue, run_billing, send_back
from billing.metering.rollups import services as rollups
from customers.models import LegalEntity
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def sell(count: int = 1, **entity: Any) -> None:
    """Customers with a fee of 100 and usage of 1.00 a token, from November."""
    version = factories.make_version(
        factories.fee(), factories.usage(meter=factories.make_meter(), model="per_unit", unit_amount="1")
    )
    seller = factories.make_entity(**entity)
    for number in range(count):
        contract = factories.make_contract(factories.make_customer(f"b-{number}"), entity=seller)
        factories.make_subscription(contract, version)


def use(day: str, tokens: int, number: int = 0) -> None:
    factories.send_events([{"subject": f"b-{number}", "time": f"{day}T08:00:00Z", "data": {"tokens": tokens}}])


def draft(as_of: str, user: User | None = None) -> Invoice:
    run_billing(as_of=date.fromisoformat(as_of), now=NOW, user=user)
    return Invoice.objects.get(state="draft")


def codes(invoice: Invoice) -> list[str]:
    return [code for code, _ in Assessment.objects.get(pk=invoice.pk).findings]


def approved(invoice: Invoice, user: User | None, **given: Any) -> str:
    """How an approval went: “” or why not."""
    result = approve(invoice_ids=[invoice.pk], user=user, now=NOW, **given)
    return result.skipped[0][1] if result.skipped else ""


@pytest.fixture
def ann(db: None) -> User:
    return User.objects.create_user("ann")


@pytest.fixture
def bob(db: None) -> User:
    return User.objects.create_user("bob")


def test_days_that_are_missing_for_the_first_time_are_told() -> None:
    sell()
    for month, days in (("10", 31), ("11", 30)):
        for day in range(1, days + 1):
            if (month, day) not in {("11", 7), ("11", 8)}:
                use(f"2023-{month}-{day:02}", 1)
    while rollups.step():
        pass
    found = Assessment.objects.get(pk=draft("2023-12-01").pk).findings
    assert ["missing", "No events on 2023-11-07, 2023-11-08"] in found


def test_it_works() -> None:
    sell()
    use("2023-11-10", 10)
    first = draft("2023-12-01")
    assert codes(first) == ["first"]
    assert approved(first, None) == ""
    issue(invoice_ids=[first.pk], user=None, now=datetime(2023, 12, 1, 9, tzinfo=UTC))
    use("2023-12-10", 60)
    known = Assessment.objects.get(pk=draft("2024-01-01").pk)
    assert (known.previous_id, known.level) == (first.pk, "notable")
    assert codes(known.invoice) == ["spike"]
    assert "More usage of Tokens: 60 instead of 10" in [text for text, _ in known.reasons]
    assert sum(Decimal(amount) for _, amount in known.reasons) == known.invoice.total - first.total


def test_usage_that_stopped_is_told_and_a_draft_that_changes_is_assessed_anew() -> None:
    sell()
    use("2023-11-10", 10)
    issue(invoice_ids=[each.pk for each in _approve_all("2023-12-01")], user=None, now=NOW)
    again = draft("2024-01-01")
    assert codes(again) == ["missing"]
    use("2023-12-10", 11)
    assert codes(draft("2024-01-01")) == []


def _approve_all(as_of: str) -> list[Invoice]:
    run_billing(as_of=date.fromisoformat(as_of), now=NOW)
    return approve(invoice_ids=list(Invoice.objects.values_list("pk", flat=True)), user=None, now=NOW).done


def test_the_same_period_last_year_is_found() -> None:
    sell()
    for month in ("2023-12-01", "2024-01-01"):
        _approve_all(month)
    old = Invoice.objects.order_by("as_of").first()
    run_billing(as_of=date(2024, 12, 1), now=NOW)
    found = Assessment.objects.get()
    assert old
    assert (found.year_ago_id, found.year_total) == (old.pk, old.total)


def test_what_was_sent_back_is_assessed_and_says_so() -> None:
    sell()
    invoice = draft("2023-12-01")
    approved(invoice, None)
    assert not Assessment.objects.exists()
    send_back(invoice_id=invoice.pk, user=None, reason="Seats are wrong", now=NOW)
    assert codes(invoice) == ["first", "returned"]


def test_what_changed_otherwise_is_found_and_assessed() -> None:
    sell(2)
    run_billing(as_of=date(2023, 12, 1), now=NOW)
    Assessment.objects.all().delete()
    assert assess(invoice_ids=unassessed(10), now=NOW) == 2
    assert unassessed(10) == []


def test_assessing_many_asks_as_often_as_assessing_one() -> None:
    sell(6)
    run_billing(as_of=date(2023, 12, 1), now=NOW)
    ids = list(Invoice.objects.values_list("pk", flat=True))
    with CaptureQueriesContext(connection) as one:
        assess(invoice_ids=ids[:1], now=NOW)
    with CaptureQueriesContext(connection) as many:
        assess(invoice_ids=ids, now=NOW)
    assert len(many) == len(one)


def test_whoever_ran_does_not_approve_and_another_does(ann: User, bob: User) -> None:
    sell(four_eyes=True)
    invoice = draft("2023-12-01", ann)
    assert "let somebody else approve it" in approved(invoice, ann)
    assert Invoice.objects.get().state == "draft"
    assert approved(invoice, bob) == ""


def test_whoever_edited_does_not_approve_either_and_it_counts_as_unusual(ann: User, bob: User) -> None:
    sell(four_eyes=True)
    invoice = draft("2023-12-01", ann)
    prepared(invoice_ids=[invoice.pk], user=bob, what="added a line", now=NOW)
    assess(invoice_ids=[invoice.pk], now=NOW)
    assert codes(invoice) == ["edited", "first"]
    assert "added a line" in approved(invoice, bob)


def test_without_the_setting_one_person_does_both(ann: User) -> None:
    sell()
    assert approved(draft("2023-12-01", ann), ann) == ""


def test_nobody_approves_under_four_eyes(ann: User) -> None:
    sell(four_eyes=True)
    assert "somebody who did not prepare" in approved(draft("2023-12-01"), None)


def test_only_a_superuser_overrides_and_it_is_kept(ann: User) -> None:
    sell(four_eyes=True)
    invoice = draft("2023-12-01", ann)
    assert "Only a superuser" in approved(invoice, ann, override="Alone today")
    ann.is_superuser = True
    ann.save()
    assert "four eyes" in approved(invoice, ann)
    assert approved(invoice, ann, override="Alone today") == ""
    kept = Approval.objects.get()
    assert (kept.kind, kept.user, kept.reason) == ("override", ann, "Alone today")
    assert kept.findings == [["first", "First invoice"]]


@pytest.mark.parametrize("who", ["preparer", "nobody"])
def test_the_database_wants_four_eyes_too(ann: User, who: str) -> None:
    sell(four_eyes=True)
    invoice = draft("2023-12-01", ann)
    LegalEntity.objects.update(four_eyes=False)
    approve(invoice_ids=[invoice.pk], user=None, now=NOW)
    Invoice.objects.update(state="draft", approved_at=None)
    LegalEntity.objects.update(four_eyes=True)
    with pytest.raises(IntegrityError, match="four eyes"), transaction.atomic():
        Invoice.objects.update(state="approved", approved_at=NOW, approved_by=ann if who == "preparer" else None)


def test_who_prepared_is_never_rewritten(ann: User, bob: User) -> None:
    sell()
    draft("2023-12-01", ann)
    with pytest.raises(Exception, match="Cannot update"), transaction.atomic():
        Preparation.objects.update(user=bob)


def policy(**given: Any) -> None:
    values: dict[str, Any] = {
        "customer": None, "since": date(2023, 1, 1), "amount": Decimal(500), "currency": "USD", "change": None,
        "unusual": True, "reason": "Agreed", "user": None,
    }  # fmt: skip
    set_policy(entity=LegalEntity.objects.get(), now=NOW, **(values | given))


def test_a_policy_approves_what_is_ordinary_once_and_says_why() -> None:
    sell(2, four_eyes=True)
    use("2023-11-10", 450, number=1)
    policy()
    run = run_billing(as_of=date(2023, 12, 1), now=NOW)
    assert len(approving.approve_ordinary(run_id=run.pk, now=NOW).done) == 1
    assert approving.approve_ordinary(run_id=run.pk, now=NOW).done == []
    kept = Approval.objects.get()
    assert (kept.invoice.total, kept.kind) == (Decimal(200), "policy")
    assert kept.reason == "USD 200.0000 is at most USD 500.0000; unusual is allowed"
    assert Invoice.objects.get(state="draft").total == Decimal(650)


def test_a_customers_policy_goes_before_its_sellers_and_a_later_one_before_an_earlier() -> None:
    sell(2)
    policy()
    policy(customer=Invoice.customer.field.related_model.objects.get(external_id="b-0"), amount=None)
    run = run_billing(as_of=date(2023, 12, 1), now=NOW)
    done = approving.approve_ordinary(run_id=run.pk, now=NOW).done
    assert [each.customer.external_id for each in done] == ["b-1"]
    policy(amount=None)
    send_back(invoice_id=done[0].pk, user=None, reason="Again", now=NOW)
    assert approving.approve_ordinary(run_id=run.pk, now=NOW).done == []


def test_many_are_numbered_without_gaps_and_one_that_cannot_go_does_not_stop_them() -> None:
    sell(5)
    run_billing(as_of=date(2023, 12, 1), now=NOW)
    ids = list(Invoice.objects.order_by("pk").values_list("pk", flat=True))
    bad = Invoice.objects.get(pk=ids[2])
    bad.customer.legal_name = "नमस्ते"
    bad.customer.save()
    assert len(approve(invoice_ids=ids, user=None, now=NOW).done) == 5
    result = issue(invoice_ids=ids, user=None, now=NOW)
    assert [each.sequence for each in result.done] == [1, 2, 3, 4]
    assert [each.pk for each, _ in result.skipped] == [bad.pk]
    assert NumberSeries.objects.get().last_number == 4
    assert issue(invoice_ids=ids[:2], user=None, now=NOW).done == []


def test_approving_and_issuing_many_asks_as_often_as_few() -> None:
    sell(9)
    run_billing(as_of=date(2023, 12, 1), now=NOW)
    ids = list(Invoice.objects.order_by("pk").values_list("pk", flat=True))
    counts: list[int] = []
    for some in (ids[:1], ids[1:3], ids[3:]):  # the first makes the number series
        with CaptureQueriesContext(connection) as queries:
            approve(invoice_ids=some, user=None, now=NOW)
            issue(invoice_ids=some, user=None, now=NOW)
        counts.append(len(queries))
    assert counts[1] == counts[2]
