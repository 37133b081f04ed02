"""What an issued invoice keeps of its seller, its buyer and its terms: copies as they were at issue (R5.8).

The shapes below are the only ones: the issue writes them into `Invoice.seller`, `.buyer` and `.terms`, and the document
and the delivery read them from there. Values are JSON: texts, whole numbers and lists of texts. An empty text means
that nothing is known, and prints nothing.
"""

from typing import TypedDict

from customers.models import Contract, Customer, LegalEntity


class Seller(TypedDict):
    """The legal entity that sells; `address` and `bank_details` are lines as printed."""

    name: str
    address: list[str]
    country: str
    tax_id: str
    email: str
    bank_details: list[str]


class Buyer(TypedDict):
    """The customer; `address` are lines as printed, `locale` (BCP 47) formats numbers and dates."""

    external_id: str
    legal_name: str
    address: list[str]
    country: str
    tax_id: str
    emails: list[str]
    locale: str


class Terms(TypedDict):
    """The contract's terms; service periods print as days in `timezone` (IANA), `cadence` is an ISO 8601 duration."""

    contract: str
    net_days: int
    po_number: str
    timezone: str
    cadence: str


def seller_snapshot(entity: LegalEntity) -> Seller:
    """The legal entity as an invoice keeps it."""
    return {
        "name": entity.name,
        "address": _lines(entity.address),
        "country": entity.country,
        "tax_id": entity.tax_id,
        "email": entity.email,
        "bank_details": _lines(entity.bank_details),
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


def terms_snapshot(contract: Contract) -> Terms:
    """The contract's terms as an invoice keeps them."""
    return {
        "contract": contract.number,
        "net_days": contract.net_days,
        "po_number": contract.po_number,
        "timezone": contract.timezone,
        "cadence": contract.cadence,
    }


def _lines(text: str) -> list[str]:
    """The lines of a text that have anything on them."""
    return [line.strip() for line in text.splitlines() if line.strip()]
