"""Contracts with a fixed end: by themselves or by hand they go on, or they end."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction

from billing.catalog.renewals.models import Renewal
from billing.catalog.renewals.rules import after_term
from billing.catalog.renewals.services import NotRenewed, due, give_notice, renew, renew_due
from billing.catalog.renewals.tasks import renew_due as task
from billing.catalog.terms.services import set_term
from customers.knowledge import as_known_at, draw_number, in_force
from customers.models import Contract
from tests.factories import NOW, bill, fee, make_contract, make_subscription, make_version

pytestmark = pytest.mark.django_db
YEARLY: dict[str, Any] = {
    "start": date(2023, 1, 1), "end": date(2024, 1, 1), "renewal": "automatic", "renewal_term": "P1Y",
    "notice_days": 30, "uplift": Decimal(5),
}  # fmt: skip


def on(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def contract(**fields: Any) -> Contract:
    """A contract of 100 a month for a year, which renews by itself."""
    made = make_contract(**(YEARLY | fields))
    make_subscription(made, make_version(fee(amount="100")))
    return made


def renew_on(day: str) -> tuple[int, list[str]]:
    return renew_due(contract_ids=due(now=on(day)), now=on(day))


def test_it_renews_once_the_time_for_notice_is_over() -> None:
    made = contract()
    assert renew_on("2023-12-02") == (0, [])
    assert renew_on("2023-12-03") == (1, [])
    made.refresh_from_db()
    assert made.end == date(2025, 1, 1)
    (renewal,) = Renewal.objects.all()
    assert (renewal.start, renewal.end, renewal.automatic) == (date(2024, 1, 1), date(2025, 1, 1), True)
    assert renew_on("2023-12-03") == (0, [])


def test_prices_rise_from_the_renewal_on_and_again_with_the_next() -> None:
    made = contract()
    assert renew_on("2024-12-03") == (2, [])  # nobody looked for a year: two terms are made up for
    (draft,) = bill("2025-01-15", made)
    found = [amount for (amount,) in draft.lines.order_by("service_start").values_list("amount")]
    assert found == [Decimal("100.00")] * 12 + [Decimal("105.00")] * 12 + [Decimal("110.25")]


def test_a_contract_with_notice_ends() -> None:
    made = contract()
    give_notice(contract=made, on=date(2023, 12, 2))
    assert renew_on("2024-01-15") == (0, [])
    (draft,) = bill("2024-03-01", made)
    assert draft.lines.count() == 12
    give_notice(contract=made, on=None)
    assert renew_on("2024-01-15") == (1, [])


def test_notice_that_comes_too_late_is_refused() -> None:
    with pytest.raises(NotRenewed, match="could be given until 2023-12-02"):
        give_notice(contract=contract(), on=date(2023, 12, 3))


def test_a_contract_that_does_not_renew_by_itself_is_renewed_by_hand() -> None:
    made = contract(renewal="none", renewal_term="", uplift=0)
    assert renew_on("2024-02-01") == (0, [])
    renew(contract=made, end=date(2024, 7, 1), uplift=Decimal(10), user=None, now=NOW)
    (draft,) = bill("2024-01-01", made)
    assert draft.lines.order_by("-service_start")[0].amount == Decimal("110.00")
    renew(contract=made, end=None, user=None, now=NOW)
    with pytest.raises(NotRenewed, match="has no end"):
        renew(contract=made, end=date(2026, 1, 1), user=None, now=NOW)


def test_a_new_term_ends_after_the_old_one() -> None:
    with pytest.raises(NotRenewed, match="let it go on until a later day"):
        renew(contract=contract(), end=date(2024, 1, 1), user=None, now=NOW)


def test_a_renewal_that_cannot_be_holds_no_other_up(monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = contract(), contract()
    set_term(
        subscription=bad.subscriptions.get(), kind="factor", value={"factor": "0.9"}, start=date(2023, 6, 1),
        end=date(2024, 1, 1), reason="A good start", user=None, now=NOW,
    )  # fmt: skip
    set_term(
        subscription=bad.subscriptions.get(), kind="factor", value={"factor": "2"}, start=date(2024, 1, 1),
        reason="And a bad end", user=None, now=NOW,
    )  # fmt: skip
    monkeypatch.setattr("billing.catalog.renewals.tasks.clock.now", lambda: on("2023-12-10"))
    with pytest.raises(NotRenewed, match=f"Contract {bad} was not renewed"):
        task()
    ends = dict(Contract.objects.values_list("pk", "end"))
    assert ends == {good.pk: date(2025, 1, 1), bad.pk: date(2024, 1, 1)}
    assert Renewal.objects.filter(contract=bad).count() == 0


def test_a_renewal_is_kept_and_happens_once() -> None:
    made = contract()
    renew_on("2023-12-03")
    with pytest.raises(Exception, match=r"Cannot (update|delete)"), transaction.atomic():
        Renewal.objects.all().delete()
    with pytest.raises(Exception, match="renewal_once"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            'INSERT INTO billing_renewal (contract_id, start, "end", uplift, automatic, recorded_at)'
            ' SELECT %s, start, "end", uplift, automatic, recorded_at FROM billing_renewal',
            [made.pk],
        )


def test_listed_dates_are_added_before_the_renewal() -> None:
    made = contract(cadence="dates", billing_dates=[date(2023, 7, 1), date(2024, 1, 1)], renewal_term="P6M", uplift=0)
    assert "add dates up to the new end" in renew_on("2023-12-10")[1][0]
    made.billing_dates.append(date(2024, 7, 1))
    made.save()
    assert renew_on("2023-12-10") == (1, [])


def test_a_year_after_29_february_is_28_february() -> None:
    assert after_term(date(2024, 2, 29), "P1Y") == date(2025, 2, 28)
    assert after_term(date(2024, 1, 31), "P90D") == date(2024, 4, 30)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"end": None}, "has an end, and says for how long"),
        ({"renewal_term": ""}, "has an end, and says for how long"),
        ({"anchor_month": 4}, "Only periods of several months"),
        ({"cadence": "dates"}, "List dates for the cadence"),
        ({"billing_dates": [date(2023, 2, 1)]}, "List dates for the cadence"),
        ({"cadence": "dates", "billing_dates": [date(2023, 1, 1)]}, "does not come after 2023-01-01"),
        ({"cadence": "dates", "billing_dates": [date(2023, 3, 1), date(2023, 2, 1)]}, "sort the dates"),
        ({"cadence": "dates", "billing_dates": [date(2023, 3, 1)]}, "list one that is 2024-01-01 or later"),
    ],
)
def test_what_does_not_go_together_is_said_on_the_form(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        Contract(number="K-1", currency="USD", **(YEARLY | fields)).clean()


def test_dates_of_an_active_contract_are_added_and_never_changed() -> None:
    made = contract(cadence="dates", billing_dates=[date(2023, 7, 1), date(2024, 1, 1)])
    made.billing_dates.append(date(2024, 7, 1))
    made.clean()
    made.billing_dates[0] = date(2023, 7, 2)
    with pytest.raises(ValidationError, match="Add later ones after the last"):
        made.clean()


def test_listed_dates_are_dates_as_they_were_known_too() -> None:
    made = contract(cadence="dates", billing_dates=[date(2023, 7, 1), date(2024, 1, 1)])
    number = draw_number()
    made.billing_dates.append(date(2024, 7, 1))
    made.save()
    with as_known_at(number):
        (known,) = in_force(Contract.objects.filter(pk=made.pk))
    assert known.billing_dates == [date(2023, 7, 1), date(2024, 1, 1)]
