"""Customers' own terms at a move: on top of the new version, ended by it, or a reason to stay; and back again."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from billing.catalog.models import PlanVersion, Subscription
from billing.catalog.terms.models import SubscriptionTerm
from billing.catalog.terms.services import end_term, set_term
from billing.moves import services
from tests.billing.moves.helpers import (
    NOW,
    bound,
    cancelled,
    no_queue,
    notes,
    outcomes,
    previewed,
    scheduled,
    versions_of,
    work,
)
from tests.factories import amounts, bill, fee, make_subscription, make_version

pytestmark = pytest.mark.django_db


@pytest.fixture
def old(db: None) -> PlanVersion:
    return make_version(fee(amount="100.00"))


@pytest.fixture
def new(old: PlanVersion) -> PlanVersion:
    return make_version(fee(amount="200.00"))


@pytest.fixture
def main(old: PlanVersion) -> Subscription:
    return make_subscription(version=old)


def agree(subscription: Subscription, kind: str = "discount", **fields: Any) -> SubscriptionTerm:
    defaults = {"value": {"percentage": "10"}, "start": date(2024, 1, 1), "reason": "Agreed", "code": "platform"}
    return set_term(subscription=subscription, kind=kind, user=None, now=NOW, **defaults | fields)


def current(subscription: Subscription) -> list[tuple[str, str | None]]:
    rows = SubscriptionTerm.objects.filter(subscription=subscription, superseded_at=None).order_by("start")
    return [(f"{row.start:%m-%d}", f"{row.end:%m-%d}" if row.end else None) for row in rows]


def fees(subscription: Subscription) -> list[str]:
    """The fee of March, as it is billed."""
    lines = amounts(bill("2024-03-01", subscription.contract, now=datetime(2024, 3, 1, 1, tzinfo=UTC))[0])
    return [f"{amount:.2f}" for _, amount in lines][-1:]


def test_it_works(old: PlanVersion, new: PlanVersion, main: Subscription) -> None:
    """They stay on top, in what is shown and in what is billed."""
    agree(main)
    move = scheduled(new, old)
    row = move.rows.get()
    assert (row.own_terms, str(row.before), str(row.after)) == (True, "290.000000", "580.000000")
    assert current(main) == [("01-01", None)]
    assert fees(main) == ["180.00"]


def test_they_end_at_the_move_and_go_on_when_it_is_cancelled(
    old: PlanVersion, new: PlanVersion, main: Subscription
) -> None:
    agree(main)
    move = scheduled(new, old, own_terms="end")
    row = move.rows.get()
    assert (str(row.before), str(row.after)) == ("290.000000", "600.000000")
    assert current(main) == [("01-01", "03-01")]
    assert SubscriptionTerm.objects.get(end__isnull=False).replaces is not None
    move = cancelled(move)
    assert (outcomes(move), list(notes(move))) == ([("cancelled", "")], [""])
    assert current(main) == [("01-01", None)]
    assert versions_of(main) == [("11-01", 1)]
    assert fees(main) == ["90.00"]


def test_ended_they_are_billed_no_more(old: PlanVersion, new: PlanVersion, main: Subscription) -> None:
    agree(main)
    scheduled(new, old, own_terms="end")
    assert fees(main) == ["200.00"]


def test_terms_that_begin_later_or_ended_before_are_told_apart(
    old: PlanVersion, new: PlanVersion, main: Subscription
) -> None:
    agree(main, end=date(2024, 2, 1))
    agree(main, start=date(2024, 5, 1))
    move = scheduled(new, old, own_terms="end")
    assert current(main) == [("01-01", "02-01")]
    cancelled(move)
    assert current(main) == [("01-01", "02-01"), ("05-01", None)]


def test_customers_with_own_terms_are_left_out_when_asked(
    old: PlanVersion, new: PlanVersion, main: Subscription
) -> None:
    plain = make_subscription(version=old)
    agree(main)
    move = scheduled(new, old, own_terms="leave_out")
    assert outcomes(move) == [("left_out", "own_terms"), ("scheduled", "")]
    assert (len(bound(main)), len(bound(plain))) == (1, 2)


def test_own_terms_that_somebody_changed_since_stay_as_they_are(
    old: PlanVersion, new: PlanVersion, main: Subscription
) -> None:
    agree(main)
    move = scheduled(new, old, own_terms="end")
    left = SubscriptionTerm.objects.get(superseded_at=None)
    end_term(term=left, at=date(2024, 2, 1), reason="Earlier", user=None, now=NOW)
    assert list(notes(cancelled(move))) == ["Its own terms were changed since, and stay so."]
    assert current(main) == [("01-01", "02-01")]
    assert versions_of(main) == [("11-01", 1)]


def test_own_terms_that_do_not_fit_the_new_version_keep_the_customer_where_it_is(
    old: PlanVersion, new: PlanVersion
) -> None:
    tiers = [{"up_to": "10", "unit_amount": "5"}, {"up_to": None, "unit_amount": "4"}]
    tiered = make_version(fee(price={"model": "graduated", "tiers": tiers}))
    one, late = make_subscription(version=tiered), make_subscription(version=tiered)
    agree(one, kind="tiers", value={"tiers": [{"up_to": "10", "unit_amount": "3"}]})
    move = previewed(new, tiered)
    assert outcomes(move) == [("left_out", "misfit"), ("planned", "")]
    assert "Its terms under Pro v2 would not fit together" in next(iter(notes(move)))
    agree(late, kind="tiers", value={"tiers": [{"up_to": "10", "unit_amount": "3"}]})
    services.schedule(move=move, reason="x", user=None, queue=no_queue, now=NOW)
    assert outcomes(work(move)) == [("left_out", "misfit"), ("refused", "misfit")]
    assert outcomes(scheduled(new, tiered, own_terms="end")) == [("scheduled", ""), ("scheduled", "")]
