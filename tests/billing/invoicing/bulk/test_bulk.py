"""Bulk actions in the background: what is moved, what is skipped and why, pressed twice, cancelled, killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django_q.models import OrmQ

from billing.invoicing.bulk import services, tasks
from billing.invoicing.bulk.errors import BulkOver, NothingToMove
from billing.invoicing.bulk.models import BulkAction, BulkItem
from billing.invoicing.bulk.states import Verb
from billing.invoicing.delivery.models import Delivery
from billing.invoicing.models import Invoice, NumberSeries
from billing.invoicing.services import approve
from customers.models import Customer, LegalEntity
from tests.billing.invoicing.test_concurrency import at_once, book
from tests.factories import NOW, bill, make_contract, make_subscription, make_version, send_events, usage

BOTH = (Verb.APPROVE, Verb.ISSUE)


def drafts(count: int = 3) -> list[Invoice]:
    book(count)
    return list(bill("2023-12-01"))


def ask(invoices: list[Invoice], *verbs: Verb, **more: Any) -> BulkAction:
    ids = [each.pk for each in invoices]
    return services.request_bulk(invoice_ids=ids, verbs=verbs or BOTH, user=None, now=NOW, **more)


def work(action: BulkAction, up: Callable[[], bool] = lambda: False) -> BulkAction:
    services.work(action_id=action.pk, clock=lambda: NOW, time_is_up=up)
    action.refresh_from_db()
    return action


def became(action: BulkAction) -> list[tuple[str, str]]:
    return list(action.items.order_by("id").values_list("state", "reason"))


@pytest.mark.django_db
class TestActions:
    def test_it_approves_and_issues_each_in_its_turn(self) -> None:
        invoices = drafts()
        action = work(ask(invoices))
        assert (action.state, action.finished_at, became(action)) == ("done", NOW, [("done", "")] * 3)
        assert list(Invoice.objects.order_by("pk").values_list("sequence", "state")) == [
            (number, "issued") for number in (1, 2, 3)
        ]

    def test_it_goes_on_in_batches_where_it_was_left(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(services, "BATCH", 2)
        action = work(ask(drafts()), up=lambda: True)
        assert (action.state, sorted(became(action))) == ("running", [("done", ""), ("done", ""), ("waiting", "")])
        assert work(action).state == "done"
        assert NumberSeries.objects.get().last_number == 3

    def test_pressed_twice_nothing_is_done_twice(self) -> None:
        invoices = drafts()
        first = ask(invoices[:2])
        second = ask(invoices)
        assert [item.invoice for item in second.items.all()] == invoices[2:]
        with pytest.raises(NothingToMove, match="waits in a bulk action already"):
            ask(invoices)
        work(second)
        work(first)
        assert became(first) == [("done", "")] * 2
        assert NumberSeries.objects.get().last_number == 3

    def test_one_that_changed_since_it_was_seen_is_left_for_another_look(self) -> None:
        contract = make_contract()
        make_subscription(contract, make_version(usage()))
        send_events(subject=contract.customer.external_id, time="2023-11-10T00:00:00Z", data={"tokens": 100})
        (draft,) = bill("2023-12-01")
        action = ask([draft])
        send_events(subject=contract.customer.external_id, time="2023-11-11T00:00:00Z", data={"tokens": 50})
        bill("2023-12-01")
        work(action)
        assert became(action) == [("skipped", "It was USD 1.00 when it was chosen and is USD 1.50 now.")]
        assert Invoice.objects.get().state == "draft"

    def test_one_that_is_gone_is_said_to_be_gone(self) -> None:
        invoices = drafts(2)
        action = ask(invoices)
        invoices[0].lines.all().delete()
        Invoice.objects.filter(pk=invoices[0].pk).delete()
        work(action)
        assert became(action) == [("skipped", services.GONE), ("done", "")]

    def test_one_that_makes_only_the_first_move_says_how_far_it_came(self) -> None:
        invoices = drafts(2)
        Customer.objects.filter(pk=invoices[0].customer_id).update(legal_name="विद्युत")
        action = work(ask(invoices))
        state, reason = became(action)[0]
        assert state == "skipped"
        assert reason.startswith("Approved, and no further. ")
        assert "write the names with other characters" in reason
        assert list(Invoice.objects.order_by("pk").values_list("state", flat=True)) == ["approved", "issued"]

    def test_one_that_was_moved_by_somebody_else_is_skipped(self) -> None:
        invoices = drafts(1)
        action = ask(invoices, Verb.APPROVE)
        approve(invoice_ids=[invoices[0].pk], user=None, now=NOW)
        assert became(work(action))[0][0] == "skipped"

    def test_what_waits_is_cancelled_and_what_is_done_stands(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(services, "BATCH", 2)
        action = work(ask(drafts()), up=lambda: True)
        services.cancel(action_id=action.pk, user=None, now=NOW)
        assert work(action).state == "cancelled"
        assert became(action) == [("done", "")] * 2 + [("skipped", "Cancelled by a command before its turn.")]
        with pytest.raises(BulkOver, match="nothing is left to cancel"):
            services.cancel(action_id=action.pk, user=None, now=NOW)

    def test_they_are_sent_on_the_day_that_was_said(self) -> None:
        invoices = drafts(1)
        later = NOW + timedelta(days=2)
        work(ask(invoices, *BOTH, Verb.SEND, send_at=later))
        assert Delivery.objects.get().next_try_at == later

    def test_an_action_of_which_nothing_is_heard_is_handed_on(self, django_capture_on_commit_callbacks: Any) -> None:
        action = ask(drafts(1))
        assert services.silent(now=NOW + timedelta(seconds=59)) == []
        assert services.silent(now=NOW + timedelta(seconds=61)) == [action.pk]
        BulkAction.objects.update(heard_at=NOW - timedelta(days=9000))
        with django_capture_on_commit_callbacks(execute=True):
            assert tasks.resume() == 1
        assert OrmQ.objects.count() == 1
        work(action)
        assert services.silent(now=NOW + timedelta(days=1)) == []

    def test_an_invoice_waits_in_one_action_at_a_time(self) -> None:
        invoices = drafts(1)
        ask(invoices)
        other = BulkAction.objects.create(verbs=["issue"], requested_at=NOW, heard_at=NOW)
        with pytest.raises(IntegrityError, match="bulk_item_waits_once"), transaction.atomic():
            BulkItem.objects.create(action=other, invoice=invoices[0], total=Decimal(1))

    def test_queries_do_not_grow_with_the_invoices(self, django_assert_max_num_queries: Any) -> None:
        action = ask(drafts(12))
        with django_assert_max_num_queries(75):
            work(action)


@pytest.mark.django_db
class TestSendingByItself:
    @pytest.mark.parametrize(("days", "later"), [(0, timedelta(0)), (3, timedelta(days=3))])
    def test_a_seller_that_sends_by_itself_sends_what_is_issued(self, days: int, later: timedelta) -> None:
        invoices = drafts(1)
        LegalEntity.objects.update(send_after_days=days)
        work(ask(invoices))
        assert Delivery.objects.get().next_try_at == NOW + later

    def test_others_leave_it_to_somebody(self) -> None:
        work(ask(drafts(1)))
        assert not Delivery.objects.exists()

    def test_a_customer_without_an_address_does_not_stop_the_issue(self) -> None:
        invoices = drafts(2)
        LegalEntity.objects.update(send_after_days=0)
        Customer.objects.filter(pk=invoices[0].customer_id).update(emails=[])
        work(ask(invoices))
        assert set(Invoice.objects.values_list("state", flat=True)) == {"issued"}
        assert [each.invoice for each in Delivery.objects.all()] == invoices[1:]


@pytest.mark.django_db(transaction=True)
def test_two_workers_share_an_action(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "BATCH", 2)
    action = ask(drafts(9))
    at_once(lambda: work(action), lambda: work(action))
    action.refresh_from_db()
    assert (action.state, became(action)) == ("done", [("done", "")] * 9)
    assert sorted(Invoice.objects.values_list("sequence", flat=True)) == list(range(1, 10))


WORKER = """
import os, signal, sys, django
django.setup()
from billing.invoicing import lifecycle
from billing.invoicing.bulk import services
from config import clock
services.BATCH = 2
honest, calls = lifecycle.issue, []
def die(**kwargs):
    done = honest(**kwargs)
    calls.append(1)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return done
lifecycle.issue = die
services.work(action_id=int(sys.argv[1]), clock=clock.now, time_is_up=lambda: False)
"""


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_killed_between_number_and_commit_leaves_no_gap() -> None:
    action = ask(drafts(5))
    own = {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "METERBOOK_DATABASE_NAME": str(connection.settings_dict["NAME"]),
        "METERBOOK_DATA": str(settings.DATA_DIR),
    }
    killed = subprocess.run(
        [sys.executable, "-c", WORKER, str(action.pk)], env=os.environ | own, cwd=Path(__file__).parents[4], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert sorted(became(action)) == [("done", "")] * 2 + [("waiting", "")] * 3
    assert NumberSeries.objects.get().last_number == 2
    services.work(action_id=action.pk, clock=lambda: NOW + timedelta(days=9000), time_is_up=lambda: False)
    assert became(action) == [("done", "")] * 5
    assert sorted(Invoice.objects.values_list("sequence", flat=True)) == [1, 2, 3, 4, 5]
    assert Invoice.objects.latest("sequence").issue_date > date(2023, 12, 31)
