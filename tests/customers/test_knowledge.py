"""What was known at a number: rows of facts as they were, whatever became of them since."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import Model

from billing.catalog.models import SubscriptionInterval
from billing.catalog.services import change_subscription
from customers.knowledge import Knowledge, as_known, as_known_at, draw_number, in_force
from customers.models import Contract, UsageSubject
from customers.services import date_claim
from tests.factories import NOW, fee, make_contract, make_subscription, make_version

pytestmark = pytest.mark.django_db


def values(row: Model) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def test_it_works() -> None:
    """A change of quantity supersedes an interval: before it, that one was in force, whatever times the rows carry."""
    subscription = make_subscription(make_contract(), make_version(fee()))
    rows = SubscriptionInterval.objects.filter(subscription=subscription)
    before = draw_number()
    change_subscription(subscription=subscription, at=date(2023, 11, 15), quantity=Decimal("2.5"), now=NOW)
    after = draw_number()
    then = [(row.quantity, row.superseded_at) for row in as_known(rows, before)]
    assert then == [(Decimal(1), None)]
    now = [(row.quantity, row.superseded_at is None) for row in as_known(rows, after)]
    assert sorted(now) == [(Decimal(1), False), (Decimal(1), True), (Decimal("2.5"), True)]
    with as_known_at(before):
        assert [row.quantity for row in in_force(rows, "superseded_at")] == [Decimal(1)]
    assert sorted(row.quantity for row in in_force(rows, "superseded_at")) == [Decimal(1), Decimal("2.5")]


def test_a_row_is_told_exactly() -> None:
    """Dates, instants, decimals, texts and what is empty come back as they were stored."""
    contract = make_contract()
    row = UsageSubject.objects.create(
        customer=contract.customer, subject="Ünit “7”", valid_from=datetime(2023, 5, 1, 12, 30, 0, 123456, UTC)
    )
    number = draw_number()
    (told,) = as_known(UsageSubject.objects.filter(pk=row.pk), number)
    assert values(told) == values(UsageSubject.objects.get(pk=row.pk))
    (told_contract,) = as_known(Contract.objects.filter(pk=contract.pk), number)
    assert values(told_contract) == values(Contract.objects.get(pk=contract.pk))


def test_what_came_later_is_not_known_and_what_is_gone_was() -> None:
    contract = make_contract()
    (claim,) = contract.customer.subjects.all()
    claims = UsageSubject.objects.filter(customer=contract.customer)
    first = draw_number()
    date_claim(claim=claim, valid_from=None, valid_to=datetime(2023, 12, 1, tzinfo=UTC))
    later = UsageSubject.objects.create(customer=contract.customer, subject="another")
    assert [(each.pk, each.valid_to) for each in as_known(claims, first)] == [(claim.pk, None)]
    assert {each.pk for each in as_known(claims, draw_number())} == {claim.pk, later.pk}


def test_numbers_grow_and_nothing_that_was_known_is_forgotten() -> None:
    make_contract()
    assert draw_number() < draw_number()
    with pytest.raises(Exception, match="Cannot"):
        Knowledge.objects.all().delete()
