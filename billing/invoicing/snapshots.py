"""What an issued invoice keeps of its seller, its buyer and its terms: copies as they were at issue (R5.8).

The shapes below are the only ones: the issue writes them into `Invoice.seller`, `.buyer` and `.terms`, and the document
and the delivery read them from there. Values are JSON: texts, whole numbers and lists of texts. An empty text means
that nothing is known, and prints nothing.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import NotRequired, TypedDict

from django.db.models import Min

from billing.invoicing.models import Invoice, InvoiceLine
from customers.models import Contract, Customer, LegalEntity


class Seller(TypedDict):
    """The legal entity that sells; `address` and `bank_details` are lines as printed, `logo` a stored file's name."""

    name: str
    address: list[str]
    country: str
    tax_id: str
    email: str
    bank_details: list[str]
    logo: NotRequired[str]


class Buyer(TypedDict):
    """The customer; `address` are lines as printed, `locale` (BCP 47) formats numbers and dates."""

    external_id: str
    legal_name: str
    address: list[str]
    country: str
    tax_id: str
    emails: list[str]
    locale: str


class ContractOn(TypedDict):
    """A contract with lines on the invoice; service prints as days in `timezone` (IANA), `cadence` is ISO 8601."""

    id: int
    contract: str
    customer: str
    external_id: str
    po_number: str
    timezone: str
    cadence: str


class Terms(TypedDict):
    """The terms of the contracts on the invoice: the shortest time to pay, and what they have in common.

    `contract`, `po_number` and `cadence` are empty where they differ; `timezone` is that of the first. `contracts` is
    missing from what was issued before invoices could hold several.
    """

    contract: str
    net_days: int
    po_number: str
    timezone: str
    cadence: str
    contracts: NotRequired[list[ContractOn]]


def seller_snapshot(entity: LegalEntity) -> Seller:
    """The legal entity as an invoice keeps it."""
    return {
        "name": entity.name,
        "address": _lines(entity.address),
        "country": entity.country,
        "tax_id": entity.tax_id,
        "email": entity.email,
        "bank_details": _lines(entity.bank_details),
        "logo": entity.logo.name or "",
    }


def buyer_snapshot(customer: Customer) -> Buyer:
    """The customer as an invoice keeps it."""
    town = " ".join(filter(None, (customer.postal_code, customer.city)))
    return {
        "external_id": customer.external_id,
        "legal_name": customer.legal_name,
        "address": list(filter(None, (customer.address_line1, customer.address_line2, town, customer.region))),
        "country": customer.country,
        "tax_id": customer.tax_id,
        "emails": list(customer.emails),
        "locale": customer.locale,
    }


def contracts_on(invoice: Invoice) -> list[Contract]:
    """The contracts with lines on an invoice, with their customers, in the order in which they are printed."""
    return contracts_on_each([invoice.pk])[invoice.pk]


def contracts_on_each(invoice_ids: Collection[int]) -> dict[int, list[Contract]]:
    """`contracts_on` of many invoices, by invoice id; two queries."""
    rows = InvoiceLine.objects.filter(invoice__in=list(invoice_ids)).order_by()
    first = rows.values_list("invoice", "stream__contract").annotate(first=Min("position")).order_by("first")
    places = list(first)
    found = Contract.objects.select_related("customer").in_bulk({contract for _, contract, _ in places})
    answer: dict[int, list[Contract]] = {pk: [] for pk in invoice_ids}
    for invoice, contract, _ in places:
        answer[invoice].append(found[contract])
    return answer


def terms_snapshot(contracts: Sequence[Contract]) -> Terms:
    """The terms of the contracts on an invoice as it keeps them."""

    def common(values: Iterable[str]) -> str:
        different = set(values)
        return different.pop() if len(different) == 1 else ""

    return {
        "contract": common(each.number for each in contracts),
        "net_days": min(each.net_days for each in contracts),
        "po_number": common(each.po_number for each in contracts),
        "timezone": contracts[0].timezone,
        "cadence": common(each.cadence for each in contracts),
        "contracts": [_contract_on(each) for each in contracts],
    }


def _contract_on(contract: Contract) -> ContractOn:
    return {
        "id": contract.pk,
        "contract": contract.number,
        "customer": contract.customer.legal_name,
        "external_id": contract.customer.external_id,
        "po_number": contract.po_number,
        "timezone": contract.timezone,
        "cadence": contract.cadence,
    }


def _lines(text: str) -> list[str]:
    """The lines of a text that have anything on them."""
    return [line.strip() for line in text.splitlines() if line.strip()]
