"""The chart of accounts is there from the first migration, and its kinds say on which side an account grows."""

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from revenue.ledger.chart import CHART
from revenue.ledger.journal import account_ids
from revenue.ledger.models import Account

pytestmark = pytest.mark.django_db


def test_it_works() -> None:
    ids = account_ids()

    assert sorted(ids) == sorted(code for code, _, _ in CHART)
    assert str(Account.objects.get(code="2100")) == "2100 Deferred revenue"


def test_the_migration_seeds_the_chart_and_takes_it_away() -> None:
    MigrationExecutor(connection).migrate([("revenue", "0001_initial")])
    assert not Account.objects.exists()

    MigrationExecutor(connection).migrate([("revenue", "0002_chart")])

    assert list(Account.objects.values_list("code", "name", "kind")) == sorted(CHART)


def test_a_missing_account_is_made_again() -> None:
    Account.objects.filter(code="2160").delete()

    assert account_ids()["2160"] == Account.objects.get(code="2160").pk


@pytest.mark.parametrize(
    ("code", "debit_positive"), [("1100", True), ("4900", True), ("6100", True), ("2100", False), ("4000", False)]
)
def test_the_kind_says_on_which_side_an_account_grows(code: str, debit_positive: bool) -> None:
    account_ids()

    assert Account.objects.get(code=code).debit_positive is debit_positive
