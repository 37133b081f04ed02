"""Moves through the database: previewed, scheduled, cancelled; by several people, and around what others change."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.catalog.models import PlanVersion, Subscription, SubscriptionInterval
from billing.catalog.services import change_subscription, end_subscription
from billing.moves import chunks, services
from billing.moves.criteria import Criteria
from billing.moves.errors import CriteriaError, MoveError
from billing.moves.models import Move, MovedSubscription
from billing.moves.timing import When
from tests.billing.moves.helpers import (
    MARCH,
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
from tests.factories import (
    amounts,
    bill_and_issue,
    fee,
    make_contract,
    make_customer,
    make_entity,
    make_subscription,
    make_version,
    send_events,
    usage,
)

pytestmark = pytest.mark.django_db
ONE = Decimal(1)


@pytest.fixture
def old(db: None) -> PlanVersion:
    return make_version(fee(amount="100.00"), usage())


@pytest.fixture
def new(old: PlanVersion) -> PlanVersion:
    return make_version(fee(amount="120.00"), usage(model="per_unit", unit_amount="0.02"))


@pytest.fixture
def newer(new: PlanVersion) -> PlanVersion:
    return make_version(fee(amount="150.00"), usage())


@pytest.fixture
def main(old: PlanVersion) -> Subscription:
    return make_subscription(version=old)


def test_it_works(old: PlanVersion, new: PlanVersion, main: Subscription) -> None:
    rows_before = list(SubscriptionInterval.objects.values())
    move = previewed(new, old)
    assert (move.state, move.work, move.total, move.done) == ("draft", "", 1, 1)
    assert list(SubscriptionInterval.objects.values()) == rows_before
    services.schedule(move=move, reason="New prices", user=None, queue=no_queue, now=NOW)
    move = work(move)
    assert outcomes(move) == [("scheduled", "")]
    assert bound(main) == [("11-01", "03-01", 1, ONE), ("03-01", None, 2, ONE)]
    assert (move.first_at, move.last_at) == (datetime(2024, 3, 1, tzinfo=UTC),) * 2
    move = cancelled(move)
    assert (move.state, outcomes(move)) == ("cancelled", [("cancelled", "")])
    assert bound(main) == [("11-01", None, 1, ONE)]


def test_a_new_version_reaches_nobody_by_itself(old: PlanVersion, main: Subscription, new: PlanVersion) -> None:
    assert bound(main) == [("11-01", None, 1, ONE)]


def test_the_effect_is_what_the_last_three_cycles_would_have_come_to(old: PlanVersion, new: PlanVersion) -> None:
    customer = make_customer("heavy")
    make_subscription(make_contract(customer), old)
    used = (("2023-11", 1000), ("2023-12", 2000), ("2024-01", 3000), ("2024-02", 9999))
    send_events(
        [{"subject": "heavy", "time": f"{month}-10T08:00:00Z", "data": {"tokens": n}} for month, n in used], now=NOW
    )
    row = previewed(new, old).rows.get()
    assert (row.before, row.after) == (Decimal(360), Decimal(480))
    assert (row.change, row.percent) == (Decimal(120), Decimal("33.33"))
    assert [each["start"] for each in row.effect["cycles"]] == ["2023-11-01", "2023-12-01", "2024-01-01"]
    assert {each["name"]: (each["before"], each["after"]) for each in row.effect["charges"]} == {
        "Platform": ("300.00", "360.00"), "Tokens": ("60.00", "120.00"),
    }  # fmt: skip


def test_only_the_subscriptions_own_share_of_a_contract_counts(old: PlanVersion, new: PlanVersion) -> None:
    contract = make_contract()
    make_subscription(contract, old)
    make_subscription(contract, make_version(fee("support", "7.00"), product="support", plan="support"), code="support")
    row = previewed(new, old).rows.get()
    assert (row.before, row.after) == (Decimal(300), Decimal(360))


def test_without_a_complete_period_there_is_no_effect_to_tell(old: PlanVersion, new: PlanVersion) -> None:
    make_subscription(make_contract(start=date(2024, 2, 1)), old)
    row = previewed(new, old).rows.get()
    assert (row.outcome, row.before) == ("planned", None)
    assert row.problem == "No billing period of its contract is complete yet."


def test_each_filter_narrows_the_choice(old: PlanVersion, new: PlanVersion, newer: PlanVersion) -> None:
    other = make_entity("other", invoice_prefix="O-")
    acme = make_subscription(make_contract(make_customer("acme", country="DE")), old)
    beta = make_subscription(make_contract(make_customer("beta"), start=date(2024, 1, 1)), old)
    late = make_subscription(make_contract(make_customer("late"), entity=other), new)

    def chosen(*versions: PlanVersion, **criteria: Any) -> set[int]:
        return set(previewed(newer, *versions, **criteria).rows.values_list("subscription_id", flat=True))

    assert chosen(old) == {acme.pk, beta.pk}
    assert chosen(old, new) == {acme.pk, beta.pk, late.pk}
    assert chosen(old, new, entity=other.pk) == {late.pk}
    assert chosen(old, countries=("DE",)) == {acme.pk}
    assert chosen(old, started_from=date(2024, 1, 1)) == {beta.pk}
    assert chosen(old, started_before=date(2024, 1, 1)) == {acme.pk}
    assert chosen(old, only=("acme", "late")) == {acme.pk}
    with pytest.raises(CriteriaError, match="Nobody meets this choice"):
        chosen(old, currency="EUR")


def test_ids_on_the_list_that_match_nobody_are_told(old: PlanVersion, new: PlanVersion) -> None:
    make_subscription(make_contract(make_customer("acme")), old)
    make_subscription(make_contract(make_customer("late")), new)
    assert previewed(new, old, only=("acme", "late", "nobody")).unmatched == ["late", "nobody"]


def test_who_is_left_out_and_why_is_a_sentence(old: PlanVersion) -> None:
    euros = make_version(fee(), plan="euro", currencies=["USD", "EUR"])
    new = make_version(fee(), usage())
    make_subscription(make_contract(currency="EUR"), euros)
    make_subscription(make_contract(), old, end=date(2024, 2, 20))
    make_subscription(make_contract(start=date(2024, 4, 1)), old)
    make_subscription(make_contract(make_customer("vip")), old)
    change_subscription(subscription=make_subscription(version=old), at=date(2024, 2, 20), version=new, now=NOW)
    ended = make_contract(end=date(2024, 1, 1))
    make_subscription(ended, old)
    shared = make_contract()
    make_subscription(shared, make_version(fee(), plan="bare"))
    make_subscription(shared, make_version(usage(), product="other", plan="other"), code="meter")
    move = previewed(new, old, euros, PlanVersion.objects.get(plan__code="bare"), without=("vip",))
    assert [code for _, code in outcomes(move)] == [
        "no_price", "not_in_force", "not_in_force", "excluded", "already", "over", "meter",
    ]  # fmt: skip
    assert notes(move) == [
        "“Platform” of Pro v2 has no price in EUR, the currency of its contract.",
        "Is not in force on 2024-03-01: it ends on 2024-02-20.",
        "Is not in force on 2024-03-01: it starts on 2024-04-01.",
        "Is on the list of customers to leave out.",
        "Is on Pro v2 by 2024-03-01 already.",
        f"Contract {ended} ended on 2024-01-01.",
        f"Meter tokens of Pro v2 is counted by {shared} / meter then: end that first.",
    ]
    with pytest.raises(MoveError, match="Nobody can be moved"):
        services.schedule(move=move, reason="x", user=None, queue=no_queue, now=NOW)


def test_renewals_and_periods_give_each_contract_its_own_day(old: PlanVersion, new: PlanVersion) -> None:
    first = make_subscription(make_contract(start=date(2023, 1, 31)), old)
    other = make_subscription(make_contract(start=date(2023, 6, 15), timezone="Asia/Tokyo"), old)
    scheduled(new, old, when=When("period"))
    assert versions_of(first) == [("01-31", 1), ("02-29", 2)]
    assert SubscriptionInterval.objects.get(subscription=other, version=new).start == datetime(
        2024, 2, 14, 15, tzinfo=UTC
    )


def test_a_contract_that_does_not_prorate_moves_at_its_next_boundary(old: PlanVersion, new: PlanVersion) -> None:
    stiff = make_subscription(make_contract(proration="none"), old)
    move = scheduled(new, old, when=When("date", date(2024, 3, 15)))
    assert versions_of(stiff) == [("11-01", 1), ("04-01", 2)]
    assert "does not prorate: it moves on 2024-04-01" in next(iter(notes(move)))


def test_two_orders_of_two_moves_end_the_same(old: PlanVersion, new: PlanVersion, newer: PlanVersion) -> None:
    one, other = make_subscription(version=old), make_subscription(version=old)
    name, second = one.contract.customer.external_id, other.contract.customer.external_id
    april = When("date", date(2024, 4, 1))
    scheduled(new, old, only=(name,))
    scheduled(newer, old, only=(name,), when=april)
    scheduled(newer, old, only=(second,), when=april)
    move = scheduled(new, old, only=(second,))
    assert bound(one) == bound(other) == [
        ("11-01", "03-01", 1, ONE), ("03-01", "04-01", 2, ONE), ("04-01", None, 3, ONE),
    ]  # fmt: skip
    assert next(iter(notes(move))) == "Until 2024-04-01, when Pro v3 begins as planned before."


def test_two_people_who_move_the_same_customers_to_the_same_day(
    old: PlanVersion, new: PlanVersion, newer: PlanVersion, main: Subscription
) -> None:
    mine, theirs = previewed(new, old), previewed(newer, old)
    for move in (mine, theirs):
        services.schedule(move=move, reason="x", user=None, queue=no_queue, now=NOW)
        work(move)
    assert outcomes(mine) == [("scheduled", "")]
    assert outcomes(theirs) == [("refused", "same_moment")]
    assert versions_of(main) == [("11-01", 1), ("03-01", 2)]


def test_of_two_moves_to_one_day_the_later_is_taken_back_first(
    old: PlanVersion, new: PlanVersion, newer: PlanVersion, main: Subscription
) -> None:
    first = scheduled(new, old)
    second = scheduled(newer, old, new)
    assert versions_of(main) == [("11-01", 1), ("03-01", 3)]
    first = cancelled(first)
    assert (first.state, list(notes(first))) == (
        "scheduled",
        ["Another move of the same day stands on it: cancel that one first, then this."],
    )
    assert cancelled(second).state == "cancelled"
    assert versions_of(main) == [("11-01", 1), ("03-01", 2)]
    assert cancelled(first).state == "cancelled"
    assert bound(main) == [("11-01", None, 1, ONE)]


def test_a_version_retired_in_between_takes_nobody(old: PlanVersion, new: PlanVersion, main: Subscription) -> None:
    early, late = previewed(new, old), previewed(new, old)
    services.schedule(move=early, reason="x", user=None, queue=no_queue, now=NOW)
    PlanVersion.objects.filter(pk=new.pk).update(state="retired", retired_at=NOW)
    assert outcomes(work(early)) == [("refused", "closed")]
    with pytest.raises(MoveError, match="is retired"):
        services.schedule(move=late, reason="x", user=None, queue=no_queue, now=NOW)
    assert versions_of(main) == [("11-01", 1)]


def test_a_subscription_ended_in_between_stays_ended(old: PlanVersion, new: PlanVersion, main: Subscription) -> None:
    move = previewed(new, old)
    end_subscription(subscription=main, at=date(2024, 2, 20), now=NOW)
    services.schedule(move=move, reason="x", user=None, queue=no_queue, now=NOW)
    assert outcomes(work(move)) == [("refused", "not_in_force")]
    assert next(iter(notes(move))) == "Is not in force on 2024-03-01: it ends on 2024-02-20."


def test_a_later_change_by_somebody_else_stays_when_the_move_is_cancelled(
    old: PlanVersion, new: PlanVersion, newer: PlanVersion
) -> None:
    grown, ended, swapped = (make_subscription(version=old) for _ in range(3))
    move = scheduled(new, old)
    change_subscription(subscription=grown, at=date(2024, 4, 1), quantity=Decimal(5), now=NOW)
    end_subscription(subscription=ended, at=date(2024, 6, 1), now=NOW)
    change_subscription(subscription=swapped, at=date(2024, 2, 20), version=newer, now=NOW)
    move = cancelled(move)
    assert move.state == "cancelled"
    assert bound(grown) == [("11-01", "04-01", 1, ONE), ("04-01", None, 1, Decimal(5))]
    assert bound(ended) == [("11-01", "06-01", 1, ONE)]
    assert versions_of(swapped) == [("11-01", 1), ("02-20", 3)]
    assert list(notes(move)) == [
        "It was changed since, and what others changed stays.",
        "It was changed since, and what others changed stays.",
        "It was changed since, and what others changed stays.",
    ]


def test_a_single_customer_is_taken_back(old: PlanVersion, new: PlanVersion) -> None:
    one, other = make_subscription(version=old), make_subscription(version=old)
    move = scheduled(new, old)
    services.cancel_one(row=move.rows.get(subscription=one), user=None, now=NOW)
    assert (bound(one), len(bound(other))) == ([("11-01", None, 1, ONE)], 2)
    move.refresh_from_db()
    assert move.state == "scheduled"
    with pytest.raises(MoveError, match="is cancelled in this move"):
        services.cancel_one(row=move.rows.get(subscription=one), user=None, now=NOW)
    services.cancel_one(row=move.rows.get(subscription=other), user=None, now=NOW)
    move.refresh_from_db()
    assert move.state == "cancelled"


def test_what_took_effect_is_not_cancelled_and_the_message_names_the_way_out(
    old: PlanVersion, new: PlanVersion, main: Subscription
) -> None:
    move = scheduled(new, old)
    after = datetime(2024, 3, 1, tzinfo=UTC)
    with pytest.raises(MoveError, match="move the subscribers of Pro v2 back"):
        services.cancel(move=move, reason="x", user=None, queue=no_queue, now=after)
    with pytest.raises(MoveError, match="move the subscribers of Pro v2 back"):
        services.cancel_one(row=move.rows.get(), user=None, now=after)
    back = scheduled(old, new, when=When("date", date(2024, 3, 5)), now=after)
    assert outcomes(back) == [("scheduled", "")]
    assert versions_of(main) == [("11-01", 1), ("03-01", 2), ("03-05", 1)]


def test_a_move_that_took_effect_for_some_is_cancelled_for_the_others(old: PlanVersion, new: PlanVersion) -> None:
    soon = make_subscription(make_contract(start=date(2023, 11, 15)), old)
    late = make_subscription(make_contract(start=date(2023, 11, 25)), old)
    move = cancelled(scheduled(new, old, when=When("period")), now=datetime(2024, 2, 20, tzinfo=UTC))
    assert (move.state, outcomes(move)) == ("scheduled", [("scheduled", ""), ("cancelled", "")])
    assert (versions_of(soon), versions_of(late)) == ([("11-15", 1), ("02-15", 2)], [("11-25", 1)])


def test_killed_in_the_middle_it_goes_on_and_nobody_is_moved_twice(
    old: PlanVersion, new: PlanVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 2)
    subscriptions = [make_subscription(version=old) for _ in range(5)]
    move = previewed(new, old)
    services.schedule(move=move, reason="x", user=None, queue=no_queue, now=NOW)
    assert services.step(move_id=move.pk, now=NOW)
    with monkeypatch.context() as broken:
        broken.setattr(chunks, "_save", lambda rows: 1 / 0)  # after its intervals are written
        with pytest.raises(ZeroDivisionError):
            services.step(move_id=move.pk, now=NOW)
    assert sum(len(bound(each)) == 2 for each in subscriptions) == 2
    move = work(move)
    assert outcomes(move) == [("scheduled", "")] * 5
    assert all(len(bound(each)) == 2 for each in subscriptions)
    assert SubscriptionInterval.objects.count() == 5 + 2 * 5
    assert not services.step(move_id=move.pk, now=NOW)


def test_cancelled_while_it_is_scheduled_nothing_of_it_is_left(
    old: PlanVersion, new: PlanVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 2)
    subscriptions = [make_subscription(version=old) for _ in range(5)]
    move = previewed(new, old)
    services.schedule(move=move, reason="x", user=None, queue=no_queue, now=NOW)
    services.step(move_id=move.pk, now=NOW)
    move = cancelled(move)
    assert (move.state, outcomes(move)) == ("cancelled", [("cancelled", "")] * 5)
    assert all(bound(each) == [("11-01", None, 1, ONE)] for each in subscriptions)


def test_the_same_form_sent_twice_makes_one_move(old: PlanVersion, new: PlanVersion, main: Subscription) -> None:
    asked = {"token": uuid4(), "target": new, "criteria": Criteria((old.pk,), MARCH), "user": None}
    moves = [services.draft(**asked, queue=no_queue, now=NOW) for _ in range(2)]
    assert moves[0] == moves[1]
    move = work(moves[0])
    assert services.schedule(move=move, reason="x", user=None, queue=no_queue, now=NOW)
    assert not services.schedule(move=move, reason="x", user=None, queue=no_queue, now=NOW)
    move = work(move)
    assert services.cancel(move=move, reason="x", user=None, queue=no_queue, now=NOW)
    assert not services.cancel(move=move, reason="x", user=None, queue=no_queue, now=NOW)


def test_a_move_needs_a_reason_a_published_version_and_versions_of_its_product(
    old: PlanVersion, new: PlanVersion, main: Subscription
) -> None:
    with pytest.raises(MoveError, match="Say why"):
        services.schedule(move=previewed(new, old), reason=" ", user=None, queue=no_queue, now=NOW)
    with pytest.raises(CriteriaError, match="other than Pro v2 itself"):
        previewed(new, new)
    with pytest.raises(CriteriaError, match="Choose versions of Api"):
        previewed(new, make_version(fee(), product="other", plan="other"))
    with pytest.raises(CriteriaError, match="Choose the versions"):
        previewed(new)


def test_a_draft_is_computed_again_or_discarded(old: PlanVersion, new: PlanVersion, main: Subscription) -> None:
    move = previewed(new, old)
    end_subscription(subscription=main, at=date(2024, 2, 20), now=NOW)
    services.compute_again(move=move, queue=no_queue, now=NOW)
    assert outcomes(work(move)) == [("left_out", "not_in_force")]
    services.discard(move=move)
    assert not Move.objects.exists()
    assert not MovedSubscription.objects.exists()


def test_a_price_change_in_the_middle_of_a_period_splits_usage_at_the_instant(
    old: PlanVersion, new: PlanVersion
) -> None:
    customer = make_customer("acme")
    contract = make_contract(customer, start=date(2024, 2, 1))
    make_subscription(contract, old)
    send_events([{"subject": "acme", "time": f"2024-02-{day}T{hour}:00:00Z", "data": {"tokens": 1000}}
                 for day, hour in (("10", "08"), ("19", "23"), ("20", "00"), ("25", "08"))],
                now=datetime(2024, 3, 1, tzinfo=UTC))  # fmt: skip
    scheduled(new, old, when=When("date", date(2024, 2, 20)))
    invoice = bill_and_issue("2024-03-01", contract, now=datetime(2024, 3, 1, 9, tzinfo=UTC))[0]
    lines = amounts(invoice)
    assert ("Tokens", Decimal("60.00")) in lines  # 2,000 at 0.01 before the instant, 2,000 at 0.02 from it on
    steps = invoice.lines.get(kind="usage").steps
    assert [step["amount"] for step in steps] == ["20", "40"]
    assert [amount for name, amount in lines if name == "Platform"] == [
        Decimal("65.52"), Decimal("41.38"), Decimal("120.00"),
    ]  # fmt: skip


@pytest.mark.parametrize("how_many", [3, 12])
def test_a_chunk_asks_the_same_number_of_questions_however_many_it_moves(
    how_many: int, old: PlanVersion, new: PlanVersion
) -> None:
    for _ in range(how_many):
        make_subscription(version=old)
    asked = Criteria((old.pk,), MARCH)
    move = services.draft(token=uuid4(), target=new, criteria=asked, user=None, queue=no_queue, now=NOW)
    counts = []
    for verb in (None, services.schedule, services.cancel):
        if verb:
            verb(move=move, reason="x", user=None, queue=no_queue, now=NOW)
        with CaptureQueriesContext(connection) as queries:
            services.step(move_id=move.pk, now=NOW)
        counts.append(len(queries))
        work(move)
    assert counts == [37, 25, 22]
