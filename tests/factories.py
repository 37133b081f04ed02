"""Plain helpers that make the things tests are about, through the services that users go through."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from typing import Any

from billing.catalog.models import Charge, ChargeCode, ChargePrice, Plan, PlanVersion, Product, Subscription
from billing.catalog.services import new_version, publish, subscribe
from billing.invoicing.models import Invoice
from billing.invoicing.services import approve, issue, run_billing
from billing.metering.models import Meter
from billing.metering.services import ingest
from customers.models import Contract, Customer, LegalEntity, UsageSubject
from customers.services import activate_contract

NOW = datetime(2024, 1, 1, tzinfo=UTC)
_serial = count(1)


def make_entity(code: str = "acme", **fields: Any) -> LegalEntity:
    """A seller in Berlin, made once per code."""
    defaults = {
        "name": "Acme AI GmbH", "address": "Torstraße 1\n10119 Berlin", "country": "DE", "tax_id": "DE123456789",
        "email": "billing@acme.example", "bank_details": "IBAN DE02 1203 0000 0000 2020 51", "timezone": "UTC",
        "invoice_prefix": f"{code.upper()}-",
    }  # fmt: skip
    return LegalEntity.objects.get_or_create(code=code, defaults=defaults | fields)[0]


def make_customer(external_id: str | None = None, *, subject: str | None = None, **fields: Any) -> Customer:
    """A customer that claims the usage subject of its own external id, or the one given."""
    external_id = external_id or f"c{next(_serial)}"
    defaults = {"legal_name": f"Customer {external_id}", "emails": [f"ap@{external_id}.example"]}
    customer = Customer.objects.create(external_id=external_id, **(defaults | fields))
    UsageSubject.objects.create(customer=customer, subject=subject or external_id)
    return customer


def make_contract(customer: Customer | None = None, **fields: Any) -> Contract:
    """An active monthly contract in USD from 2023-11-01 UTC."""
    defaults = {
        "number": f"K-{next(_serial)}", "entity": fields.pop("entity", None) or make_entity(),
        "start": date(2023, 11, 1), "currency": "USD",
    }  # fmt: skip
    contract = Contract.objects.create(customer=customer or make_customer(), **(defaults | fields))
    return activate_contract(contract=contract)


def make_meter(code: str = "tokens", **fields: Any) -> Meter:
    """A meter that sums `tokens` over events of type `inference`, made once per code."""
    defaults = {
        "name": code.capitalize(), "event_type": "inference", "aggregation": "sum", "value": "tokens", "unit": "token",
    }  # fmt: skip
    return Meter.objects.get_or_create(code=code, defaults=defaults | fields)[0]


def fee(code: str = "platform", amount: str = "100.00", **charge: Any) -> dict[str, Any]:
    """A recurring fee in advance, for `make_version`."""
    return {"code": code, "kind": "recurring", "price": {"model": "flat", "amount": amount}} | charge


def usage(code: str = "tokens", meter: Meter | None = None, **price: Any) -> dict[str, Any]:
    """A usage charge of a meter, for `make_version`; USD 0.01 a unit unless a price is given."""
    price = price or {"model": "per_unit", "unit_amount": "0.01"}
    return {"code": code, "kind": "usage", "pay": "in_arrears", "meter": meter or make_meter(), "price": price}


def make_version(
    *charges: Mapping[str, Any], product: str = "api", plan: str = "pro", currencies: Sequence[str] = ("USD",)
) -> PlanVersion:
    """A published version of a plan, with a fee of USD 100.00 unless charges are given."""
    parent, _ = Product.objects.get_or_create(code=product, defaults={"name": product.capitalize()})
    offer, _ = Plan.objects.get_or_create(code=plan, defaults={"product": parent, "name": plan.capitalize()})
    version = new_version(plan=offer)
    for position, spec in enumerate(charges or [fee()]):
        fields = dict(spec)
        price = fields.pop("price")
        code, _ = ChargeCode.objects.get_or_create(product=parent, code=fields.pop("code"))
        fields = {"name": code.code.replace("-", " ").capitalize()} | fields
        charge = Charge.objects.create(version=version, code=code, position=position, **fields)
        ChargePrice.objects.bulk_create(
            [ChargePrice(charge=charge, currency=each, price=price | {"currency": each}) for each in currencies]
        )
    return publish(version=version, user=None, now=NOW, reason="Made for a test.")


def make_subscription(
    contract: Contract | None = None, version: PlanVersion | None = None, *, code: str = "main", **fields: Any
) -> Subscription:
    """A subscription from the contract's start."""
    contract = contract or make_contract()
    defaults: dict[str, Any] = {"start": contract.start, "now": NOW}
    return subscribe(contract=contract, version=version or make_version(), code=code, **(defaults | fields))


def send_events(
    events: Iterable[Mapping[str, Any]] | None = None, *, now: datetime = NOW, source: str = "test", **event: Any
) -> Any:
    """Ingest events (or one, by keywords); each needs `subject`, `time` and `data`, the rest has defaults."""
    rows = [
        {"id": f"e{next(_serial)}", "type": "inference"} | dict(each)
        for each in (events if events is not None else [event])
    ]
    return ingest(events=json.dumps(rows).encode(), origin="test", default_source=source, now=now)


def bill(as_of: str, *contracts: Contract, now: datetime = NOW) -> list[Invoice]:
    """Run billing as of a day; the open drafts that it leaves, by contract."""
    run_billing(as_of=date.fromisoformat(as_of), now=now, contract_ids=[each.id for each in contracts] or None)
    return list(Invoice.objects.filter(state="draft").order_by("contract_id"))


def bill_and_issue(as_of: str, *contracts: Contract, now: datetime = NOW) -> list[Invoice]:
    """Run billing as of a day, approve and issue what it drafted."""
    ids = [invoice.id for invoice in bill(as_of, *contracts, now=now)]
    approved = approve(invoice_ids=ids, user=None, now=now)
    issued = issue(invoice_ids=ids, user=None, now=now)
    assert (approved.skipped, issued.skipped) == ([], [])
    return issued.done


def amounts(invoice: Invoice) -> list[tuple[str, Decimal]]:
    """Description and amount of each line, as printed."""
    return list(invoice.lines.values_list("description", "amount"))
