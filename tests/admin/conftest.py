"""People of each role, and a small business with something on every page."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from billing.catalog.services import new_version
from billing.catalog.units.models import ConversionRate, CustomUnit
from billing.invoicing.services import approve
from billing.metering.services import create_api_key
from billing.payments.services import record_payment
from revenue.ledger.services import post_documents
from tests import factories

NOW = datetime(2024, 1, 5, 12, tzinfo=UTC)
ROLES = ("RevOps", "Finance", "Engineer", "Auditor")


@pytest.fixture
def sign_in(db: None) -> Callable[[str], Client]:
    """A client signed in as somebody of a role; “nobody” is staff without one, “admin” may do everything."""

    def as_role(role: str) -> Client:
        user = User.objects.create_user(role.lower(), password="x", is_staff=True, is_superuser=role == "admin")
        if role in ROLES:
            user.groups.add(Group.objects.get(name=role))
        client = Client()
        client.force_login(user)
        return client

    return as_role


def make_business(customers: int = 1) -> SimpleNamespace:
    """Customers with an issued and partly paid invoice each, one draft each, and everything around them."""
    meter = factories.make_meter()
    version = factories.make_version(factories.fee(), factories.usage(meter=meter))
    contracts = []
    for number in range(customers):
        customer = factories.make_customer(f"buyer-{number}")
        contract = factories.make_contract(customer, number=f"K-{number:03d}")
        factories.make_subscription(contract, version)
        contracts.append(contract)
    events = [{"id": f"first-{number}", "subject": f"buyer-{number}", "time": "2023-11-10T08:00:00Z",
               "data": {"tokens": 7}} for number in range(customers)]  # fmt: skip
    factories.send_events([*events, {"subject": "stranger", "time": "2023-12-30T08:00:00Z", "data": {"tokens": 1}}])
    issued = factories.bill_and_issue("2023-12-01", now=datetime(2023, 12, 1, 9, tzinfo=UTC))
    payments = [
        record_payment(
            invoice_id=invoice.pk, amount=Decimal("10.00"), received_on=date(2023, 12, 20), reference="BANK",
            user=None, now=NOW,
        )
        for invoice in issued
    ]  # fmt: skip
    post_documents(now=NOW)
    drafts = factories.bill("2024-01-01", now=NOW)
    unit = CustomUnit.objects.create(code="credits", name="Credits")
    ConversionRate.objects.create(unit=unit, currency="USD", rate=Decimal("0.01"), valid_from=date(2023, 11, 1))
    key, _ = create_api_key(name="Gateway", default_source="gateway", user=None, now=NOW)
    draft_contract = factories.Contract.objects.create(
        number="K-draft", customer=contracts[0].customer, entity=factories.make_entity(), start=date(2024, 1, 1),
        currency="USD",
    )  # fmt: skip
    return SimpleNamespace(
        meter=meter, version=version, draft_version=new_version(plan=version.plan, copy_of=version),
        contract=contracts[0], contracts=contracts, draft_contract=draft_contract, customer=contracts[0].customer,
        issued=issued, payments=payments, drafts=drafts, key=key,
    )  # fmt: skip


@pytest.fixture
def business(db: None) -> SimpleNamespace:
    """One customer's."""
    return make_business()


@pytest.fixture
def approved(business: SimpleNamespace) -> Any:
    """The business's draft, approved."""
    return approve(invoice_ids=[business.drafts[0].pk], user=None, now=NOW).done[0]
