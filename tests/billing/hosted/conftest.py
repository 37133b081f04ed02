"""Two customers with an issued invoice each, and a link to the first one's."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from billing.hosted.models import HostedLink
from billing.hosted.services import make_link
from billing.invoicing.models import Invoice, InvoiceLine
from config import clock
from tests import factories

ISSUED_AT = datetime(2023, 12, 1, 9, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _documents(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def hosted(db: None) -> Callable[..., SimpleNamespace]:
    """A fee, and usage of two days in a region each, for `buyer` (with these fields) and `other`; a link to buyer’s."""

    def made(**buyer: Any) -> SimpleNamespace:
        version = factories.make_version(
            factories.fee(), factories.usage(meter=factories.make_meter(group_by=["region"]))
        )
        for name, fields in (("buyer", buyer), ("other", {})):
            factories.make_subscription(factories.make_contract(factories.make_customer(name, **fields)), version)
        factories.send_events(
            {"id": f"{name}-{day}", "subject": name, "time": f"2023-11-{day}T08:00:00Z",
             "data": {"tokens": 7 * day, "region": region}}
            for name in ("buyer", "other") for day, region in ((10, "eu"), (12, "us"))
        )  # fmt: skip
        factories.bill_and_issue("2023-12-01", now=ISSUED_AT)
        mine, other = (Invoice.objects.get(customer__external_id=name) for name in ("buyer", "other"))
        link = make_link(invoice=mine, user=None, now=clock.now())
        return SimpleNamespace(invoice=mine, other=other, link=link, tokens=tokens_of(mine))

    return made


@pytest.fixture
def page(hosted: Callable[..., SimpleNamespace]) -> SimpleNamespace:
    """In English."""
    return hosted()


def tokens_of(invoice: Invoice) -> InvoiceLine:
    """The line of usage."""
    return invoice.lines.get(kind="usage")


def another_link(invoice: Invoice) -> HostedLink:
    """As a second person at the customer's would have."""
    return make_link(invoice=invoice, user=None, now=clock.now())
