"""Databases of earlier releases, with data in them, come up to date by `migrate` alone."""

import gzip
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.db.models import Max, Min

from billing.invoicing.models import Invoice
from billing.invoicing.services import run_billing
from billing.metering import names, partitions
from billing.metering.models import Event, Meter
from billing.metering.queries import UsageRow, quantities
from billing.metering.rollups import services as rollups
from billing.metering.rollups.models import Activity, PendingBatch
from billing.periods import Period
from config.embedded.programs import path_of
from customers.models import Customer
from revenue.ledger.services import preview_recognition
from revenue.ledger.ties import ties
from tests.config.test_demo import own_database

DUMPS = sorted(Path(__file__).parent.glob("*.sql.gz"))
CHANGELOG = Path(__file__).parents[2] / "docs" / "changelog.md"


@pytest.fixture(params=DUMPS, ids=lambda dump: dump.name.removesuffix(".sql.gz"))
def upgraded(request: pytest.FixtureRequest, django_db_blocker: Any) -> Iterator[str]:
    """A database restored from the dump of a release and migrated."""
    with django_db_blocker.unblock(), own_database() as name:
        where = connection.get_connection_params()
        address = ["--host", str(where["host"]), "--username", str(where["user"]), "--dbname", name]
        if "port" in where:
            address += ["--port", str(where["port"])]
        restore = [str(path_of("psql")), *address, "--quiet", "--set", "ON_ERROR_STOP=1"]
        subprocess.run(restore, input=gzip.decompress(request.param.read_bytes()), check=True, capture_output=True)
        names.forget()
        partitions.forget()
        call_command("migrate", verbosity=0)
        yield request.param.name


def usage() -> list[UsageRow]:
    """What every customer used of every meter, by month."""
    times = Event.objects.aggregate(first=Min("ts"), last=Max("ts"))
    return quantities(
        customer_ids=Customer.objects.values_list("id", flat=True), meters=list(Meter.objects.order_by("id")),
        period=Period(times["first"], times["last"]), window="month",
    )  # fmt: skip


@pytest.mark.deep
def test_old_usage_counts_before_and_after_it_is_rolled_up(upgraded: str) -> None:
    before = usage()
    assert sum(row.quantity.events for row in before) > 500
    rollups.catch_up()
    assert not PendingBatch.objects.exists()
    assert set(Meter.objects.values_list("rollup_ready", flat=True)) == {True}
    assert usage() == before
    assert sum(Activity.objects.values_list("n", flat=True)) == Event.objects.count()


@pytest.mark.deep
def test_it_works(upgraded: str) -> None:
    """The books tie and go on, billing finds its way, and what was issued still cannot be touched."""
    issued = Invoice.objects.filter(state="issued").order_by("id")
    before = list(issued.values_list("number", "total"))
    assert len(before) >= 15
    assert ties().hold
    last = Invoice.objects.order_by("-as_of")[0]
    run = run_billing(as_of=last.as_of, now=last.updated_at)
    assert {"drafted", "unchanged"} >= set(run.outcomes.values_list("result", flat=True)) != set()
    assert all(delta.amount for delta in preview_recognition(through=last.as_of))
    with pytest.raises(DatabaseError), transaction.atomic():
        Invoice.objects.filter(pk=issued[0].pk).update(total=0)
    assert list(issued.values_list("number", "total")) == before


def test_every_release_has_left_a_dump() -> None:
    releases = re.findall(r"^## (\d+\.\d+\.\d+)", CHANGELOG.read_text(), re.M)
    assert releases
    assert {dump.name.removesuffix(".sql.gz") for dump in DUMPS} == set(releases)
