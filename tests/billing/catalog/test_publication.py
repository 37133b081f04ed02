"""A version is published once, now or when it is due, with its warnings confirmed; retired, it takes nobody new."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from billing.catalog import publication
from billing.catalog.drafting import set_prices
from billing.catalog.errors import CatalogError, NeedsReason, Retired
from billing.catalog.guards import check_units
from billing.catalog.models import Charge, ChargePrice, PlanVersion
from billing.catalog.services import change_subscription, check, end_subscription, new_version, publish
from billing.catalog.states import VERSION_MOVES, VersionState
from billing.catalog.tasks import publish_due
from billing.catalog.units.models import ConversionRate, CustomUnit
from billing.catalog.units.queries import rates_of
from billing.metering.rollups.services import catch_up
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
)  # fmt: skip

pytestmark = pytest.mark.django_db
DUE = NOW + timedelta(days=1)


def draft(*charges: dict[str, Any], currencies: tuple[str, ...] = ("USD",)) -> PlanVersion:
    """A draft of the plan “pro” with these charges, a fee unless some are given."""
    sold = make_version(*charges, currencies=currencies)
    return new_version(plan=sold.plan, copy_of=sold)


def test_it_works() -> None:
    version = draft(fee("platform", "0"))
    with pytest.raises(NeedsReason, match="costs nothing: the price is zero"):
        publish(version=version, user=None, now=NOW)
    published = publish(version=version, user=None, now=NOW, reason="  Free for partners  ")
    assert published.warnings == ["“Platform” in USD: costs nothing: the price is zero."]
    assert published.reason == "Free for partners"


def test_without_warnings_no_reason_is_asked_or_kept() -> None:
    published = publish(version=draft(), user=None, now=NOW, reason="Because")
    assert (published.warnings, published.reason) == ([], "")


@pytest.mark.parametrize("rolled_up", [False, True])
def test_a_meter_without_events_for_30_days_is_a_warning(rolled_up: bool) -> None:
    version = draft(usage())
    silence = ["“Tokens” counts with the meter Tokens, which had no events for 30 days."]
    send_events(subject="a", time="2023-11-01T00:00:00Z", data={"tokens": 1})
    if rolled_up:
        catch_up()
    assert check(version=version, now=NOW) == silence
    send_events(subject="a", time="2023-12-20T00:00:00Z", data={"tokens": 1})
    if rolled_up:
        catch_up()
    assert check(version=version, now=NOW) == []


def test_a_meter_of_distinct_values_is_heard_and_one_that_filters_is_not() -> None:
    people = make_meter("people", aggregation="unique_count", value="user")
    large = make_meter("large", filters={"model": "large"})
    version = draft(usage("people", people), usage("large", large))
    send_events(subject="a", time="2023-12-20T00:00:00Z", data={"user": "x", "model": "small", "tokens": 1})
    catch_up()
    assert check(version=version, now=NOW) == ["“Large” counts with the meter Large, which had no events for 30 days."]


def test_a_meter_that_carries_forward_is_silent_only_if_it_never_counted() -> None:
    version = draft(usage("seats", make_meter("seats", recurring=True)))
    assert check(version=version, now=NOW) == ["“Seats” counts with the meter Seats, which had no events yet."]
    send_events(subject="a", time="2023-01-20T00:00:00Z", data={"tokens": 1})
    assert check(version=version, now=NOW) == []


def test_a_currency_that_customers_pay_in_and_that_has_no_price_is_a_warning() -> None:
    sold = make_version(fee(), currencies=["USD", "EUR"])
    for number in range(3):
        customer = make_customer(f"e{number}", legal_name=f"Euro {number}")
        make_subscription(make_contract(customer, currency="EUR"), sold)
    ended = make_subscription(make_contract(currency="USD"), sold)
    end_subscription(subscription=ended, at=date(2023, 12, 1), now=NOW)
    version = new_version(plan=sold.plan, copy_of=sold)
    ChargePrice.objects.filter(charge__version=version, currency="EUR").delete()
    assert check(version=version, now=NOW) == [
        "“Platform” has no price in EUR, in which Euro 0 and 2 more of this plan pay."
    ]


def test_the_guards_cost_the_same_number_of_queries_for_one_charge_and_for_twenty() -> None:
    def queries(version: PlanVersion) -> int:
        with CaptureQueriesContext(connection) as captured:
            check(version=version, now=NOW)
        return len(captured)

    few = queries(draft(usage()))
    many = queries(draft(*[usage(f"u{number}", make_meter(f"m{number}")) for number in range(20)]))
    assert few == many


def test_a_price_in_a_custom_unit_needs_the_unit_and_what_it_is_worth_in_its_currency() -> None:
    charge = draft().charges.get()
    price = {"model": "flat", "amount": "5", "currency": "USD", "custom_unit": {"code": "credits", "places": 2}}
    charge.prices.update(price=price)
    with pytest.raises(CatalogError, match="priced in credits, which is no custom unit: make it first"):
        check_units([charge])
    unit = CustomUnit.objects.create(code="credits", name="Credits", places=3)
    with pytest.raises(CatalogError, match="rounds credits to 2 decimal places: the unit has 3"):
        check_units([charge])
    charge.prices.update(price=price | {"custom_unit": {"code": "credits", "places": 3}})
    with pytest.raises(CatalogError, match="which has no rate in USD: add one first"):
        check_units([charge])
    for day, rate in ((date(2024, 6, 1), "0.02"), (date(2024, 1, 1), "0.01")):
        ConversionRate.objects.create(unit=unit, currency="USD", rate=Decimal(rate), valid_from=day)
    check_units([charge])
    rates = rates_of(["credits", "other"], ["USD", "EUR"])
    assert {key: [row.rate for row in rows] for key, rows in rates.items()} == {
        ("credits", "USD"): [Decimal("0.01"), Decimal("0.02")]
    }


def test_publishing_twice_is_refused_in_every_state() -> None:
    version = publish(version=draft(), user=None, now=NOW)
    with pytest.raises(CatalogError, match="is published already"):
        publish(version=version, user=None, now=NOW)
    publication.retire(version=version, user=None, now=NOW)
    with pytest.raises(CatalogError, match="is retired already"):
        publish(version=version, user=None, now=NOW)


def test_a_version_is_published_when_it_is_due_by_who_planned_it(django_user_model: type[User]) -> None:
    planner = django_user_model.objects.create_user("planner")
    version = publication.schedule(version=draft(), at=DUE, zone="Europe/Berlin", user=planner, now=NOW)
    assert version.planned == "2024-01-02 01:00 (Europe/Berlin)"
    assert publication.publish_due(now=DUE - timedelta(seconds=1)) == []
    assert publication.publish_due(now=DUE) == [version]
    version.refresh_from_db()
    assert (version.state, version.published_at, version.published_by) == ("published", DUE, planner)
    assert publication.publish_due(now=DUE) == []


def test_the_task_publishes_what_is_due_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    publication.schedule(version=draft(), at=DUE, zone="UTC", user=None, now=NOW)
    monkeypatch.setattr("config.clock.now", lambda: DUE)
    assert (publish_due(), publish_due()) == (1, 0)


def test_a_warning_that_nobody_confirmed_stops_a_planned_publication_and_says_why() -> None:
    version = draft()
    publication.schedule(version=version, at=DUE, zone="UTC", user=None, now=NOW)
    set_prices(charge=version.charges.get(), prices=[{"model": "flat", "amount": "0", "currency": "USD"}])
    other = publication.schedule(version=draft(), at=DUE, zone="UTC", user=None, now=NOW)
    assert publication.publish_due(now=DUE) == [other]
    version.refresh_from_db()
    assert (version.state, version.publish_at) == ("draft", None)
    assert version.problem.startswith("It was not published when it was due, 2024-01-02 00:00 (UTC): “Platform” in USD")
    assert publish(version=version, user=None, now=DUE, reason="It is free").problem == ""


def test_a_confirmed_warning_does_not_stop_it() -> None:
    version = draft(fee("platform", "0"))
    with pytest.raises(NeedsReason):
        publication.schedule(version=version, at=DUE, zone="UTC", user=None, now=NOW)
    publication.schedule(version=version, at=DUE, zone="UTC", user=None, now=NOW, reason="Free tier")
    (published,) = publication.publish_due(now=DUE)
    published.refresh_from_db()
    assert (published.reason, len(published.warnings)) == ("Free tier", 1)


def test_what_is_planned_can_be_cancelled_once() -> None:
    version = publication.schedule(version=draft(), at=DUE, zone="UTC", user=None, now=NOW)
    publication.cancel(version=version)
    assert publication.publish_due(now=DUE) == []
    with pytest.raises(CatalogError, match="nothing to cancel"):
        publication.cancel(version=version)


def test_a_time_in_the_past_is_refused() -> None:
    with pytest.raises(CatalogError, match="lies in the past"):
        publication.schedule(version=draft(), at=NOW, zone="UTC", user=None, now=NOW)


def test_a_retired_version_keeps_its_customers_and_takes_no_new_ones() -> None:
    version = make_version()
    mine = make_subscription(version=version)
    retired = publication.retire(version=version, user=None, now=NOW)
    for seen in (retired, version):  # as somebody else's page may still show it
        with pytest.raises(Retired, match="Pro v1 is retired: subscribe customers to a newer version"):
            make_subscription(version=seen)
    change_subscription(subscription=mine, at=date(2023, 12, 1), quantity=Decimal(2), now=NOW)
    end_subscription(subscription=mine, at=date(2024, 1, 1), now=NOW)
    assert mine.intervals.filter(superseded_at=None).count() == 2


def test_the_database_itself_lets_nobody_come_to_a_retired_version() -> None:
    version = make_version()
    row = make_subscription(version=version).intervals.get()
    other = make_subscription(version=make_version(plan="other"))
    end_subscription(subscription=other, at=date(2023, 12, 1), now=NOW)
    publication.retire(version=version, user=None, now=NOW)
    row.pk, row.subscription, row.start = None, other, datetime(2024, 2, 1, tzinfo=UTC)
    with pytest.raises(DatabaseError, match="takes no new subscriptions"), transaction.atomic():
        row.save(force_insert=True)


def test_who_swapped_away_from_a_version_may_have_it_again_when_it_is_retired() -> None:
    first, second = make_version(), make_version()
    mine = make_subscription(version=first)
    change_subscription(subscription=mine, at=date(2023, 12, 1), version=second, now=NOW)
    publication.retire(version=first, user=None, now=NOW)
    change_subscription(subscription=mine, at=date(2023, 12, 1), version=first, now=NOW)
    assert mine.intervals.filter(superseded_at=None, version=first).count() == 2


def test_only_the_moves_of_the_table_can_be_made_in_the_database() -> None:
    for state in VersionState.values:
        for to in VersionState.values:
            version = draft()
            if state != VersionState.DRAFT:
                publish(version=version, user=None, now=NOW)
            if state == VersionState.RETIRED:
                publication.retire(version=version, user=None, now=NOW)
            stamps = "published_at = %s, retired_at = CASE WHEN %s THEN now() END" if to != "draft" else "note = note"
            values = [NOW, to == "retired"] if to != "draft" else []
            statement = f"UPDATE billing_planversion SET state = %s, {stamps} WHERE id = %s"
            try:
                with transaction.atomic(), connection.cursor() as cursor:
                    cursor.execute(statement, [to, *values, version.pk])
                moved = state != to
            except DatabaseError:
                moved = False
            assert moved == ((state, to) in VERSION_MOVES), (state, to)


@pytest.mark.parametrize("field", [
    "cadence = 'P1Y'", "proration = 'none'", "invoice_group = 'x'", "tax_code = 'x'", "revenue_treatment = 'point'",
])  # fmt: skip
def test_the_terms_of_a_published_charge_are_frozen(field: str) -> None:
    charge = make_version().charges.get()
    with pytest.raises(DatabaseError, match="is published"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE billing_charge SET {field} WHERE id = %s", [charge.pk])


@pytest.mark.parametrize(
    "field", ["reason = 'x'", "warnings = '[1]'", "publish_at = now()", "problem = 'x'", "number = 9"]
)
def test_how_a_version_was_published_stays_also_when_it_is_retired(field: str) -> None:
    version = make_version()
    retire = "state = 'retired', retired_at = now()"
    for statement in (field, f"{retire}, {field}"):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE billing_planversion SET {statement} WHERE id = %s", [version.pk])


@pytest.mark.parametrize(
    "field", ["cadence = 'monthly'", "proration = 'week'", "window = 'day'", "revenue_treatment = 'x'"]
)
def test_the_database_refuses_terms_that_no_charge_can_have(field: str) -> None:
    charge = draft().charges.get()
    name, _, value = field.partition(" = ")
    with pytest.raises(DatabaseError), transaction.atomic():
        Charge.objects.filter(pk=charge.pk).update(**{name: value.strip("'")})


def test_a_copy_has_all_terms_of_its_charges() -> None:
    terms = {"cadence": "P1Y", "proration": "none", "invoice_group": "Fees", "tax_code": "T", "unit": "seat",
             "revenue_treatment": "point", "pay": "in_arrears"}  # fmt: skip
    copy = draft(fee(**terms), usage() | {"window": "day"})
    assert copy.charges.filter(**terms).count() == 1
    assert copy.charges.filter(window="day").count() == 1


def test_rates_of_units_are_kept_as_they_were_recorded() -> None:
    unit = CustomUnit.objects.create(code="credits", name="Credits")
    rate = ConversionRate.objects.create(unit=unit, currency="USD", rate=Decimal("0.01"), valid_from=date(2024, 1, 1))
    for change in (
        lambda: ConversionRate.objects.update(rate=1),
        rate.delete,
        lambda: CustomUnit.objects.update(places=3),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()
    with pytest.raises(DatabaseError, match="conversionrate_day"), transaction.atomic():
        ConversionRate.objects.create(unit=unit, currency="USD", rate=Decimal(1), valid_from=date(2024, 1, 1))
    CustomUnit.objects.update(name="Tokens")


def together(*actions: Callable[[], Any]) -> list[Any]:
    """What each action returns or raises, all started at once, each on a connection of its own."""
    barrier = threading.Barrier(len(actions))

    def act(action: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return action()
        except CatalogError as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(act, actions))


@pytest.mark.django_db(transaction=True)
def test_of_two_people_publishing_at_once_the_second_is_told() -> None:
    version = draft()
    results = together(*[lambda: publish(version=version, user=None, now=NOW)] * 2)
    assert sorted(type(each).__name__ for each in results) == ["CatalogError", "PlanVersion"]
    assert "is published already" in str(next(each for each in results if isinstance(each, CatalogError)))


@pytest.mark.django_db(transaction=True)
def test_two_tasks_at_once_publish_what_is_due_once() -> None:
    publication.schedule(version=draft(), at=DUE, zone="UTC", user=None, now=NOW)
    done = together(*[lambda: publication.publish_due(now=DUE)] * 3)
    assert sum(map(len, done)) == 1
