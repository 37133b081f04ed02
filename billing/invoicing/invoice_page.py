"""What the page of an invoice shows: its facts, its lines with the steps that made them, and what happened to it."""

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from django.urls import reverse

from billing.invoicing.concessions.queries import credits_of
from billing.invoicing.late.wording import late_in_words
from billing.invoicing.models import Invoice, InvoiceLine
from billing.invoicing.review.page import review_of
from billing.invoicing.sections import Heading, Section, sections
from billing.invoicing.shown import shown_steps
from billing.invoicing.states import InvoiceState
from billing.invoicing.taxes.page import shown_taxes
from billing.metering.explorer.explorer_page import address
from billing.periods import Period, local_date
from billing.pricing.words import plural
from customers.backoffice import amount_text, change_url, quantity_text


def page_of(invoice: Invoice) -> dict[str, Any]:
    """Everything that `templates/billing/admin/invoice.html` prints; a fixed number of queries."""
    lines = list(
        invoice.lines.select_related(
            "charge__version__plan",
            "charge__meter",
            "corrects__invoice",
            "stream__subscription",
            "stream__contract__customer",
            "slot",
        ).order_by("position")
    )
    return {
        "invoice": invoice,
        "sections": [
            _section(each, invoice) for each in sections((_heading(line), line.amount, line) for line in lines)
        ],
        "net": amount_text(invoice.net, invoice.currency),
        "tax": amount_text(invoice.tax, invoice.currency),
        "taxes": shown_taxes(invoice),
        "total": amount_text(invoice.total, invoice.currency),
        "deliveries": list(invoice.deliveries.select_related("requested_by")),
        "document": (document := getattr(invoice, "document", None)),
        "waiting": None if document else getattr(invoice, "waiting_document", None),
        "credited_for": dict.fromkeys(each.reason for each in credits_of(line.terms for line in lines)),
        "early": list(invoice.early_approvals.all()) if invoice.state != InvoiceState.DRAFT else [],
        "review": review_of(invoice),
        "journal_url": f"{reverse('admin:revenue_journalentry_changelist')}?source__exact=invoice/{invoice.pk}",
    }


def _heading(line: InvoiceLine) -> Heading:
    """Whose line it is."""
    contract = line.stream.contract
    return Heading(contract.pk, contract.customer.legal_name, contract.number, contract.po_number)


def _section(section: Section[InvoiceLine], invoice: Invoice) -> dict[str, Any]:
    """The lines of a contract with their title and sums, where there are several."""
    contract = section.lines[0].stream.contract
    return {
        "title": section.title,
        "contract_url": change_url(contract),
        "lines": [_line(line, invoice) for line in section.lines],
        "sums": [(label, amount_text(amount, invoice.currency)) for label, amount in section.sums],
    }


def _line(line: InvoiceLine, invoice: Invoice) -> dict[str, Any]:
    """One line as texts, with links to where its numbers come from."""
    zone = line.stream.contract.timezone
    version = line.charge.version if line.charge else None
    steps = [shown_step(step, invoice.currency) for step in shown_steps(line.steps)]
    if line.billed_before:
        steps.append({"label": "Already billed", "amount": amount_text(-line.billed_before, invoice.currency)})
    return {
        "description": line.description,
        "url": reverse("admin:billing_invoice_line", args=[invoice.pk, line.position]),
        "subscription": line.stream.subscription.code if line.stream.subscription else "whole contract",
        "version": _origin(line),
        "version_url": change_url(version or line.stream.subscription or line.stream.contract),
        "usage_url": _usage_url(line, zone),
        "corrects": _corrects(line),
        "late": late_in_words(line.late, line.quantity, line.unit, quantity_text),
        "period": _days(line, zone),
        "fraction": line.fraction if line.fraction not in ("", "1", "1/1") else "",
        "quantity": quantity_text(line.quantity) if line.quantity is not None else "",
        "unit": plural(line.unit, Fraction(line.quantity or 0)) if line.unit else "",
        "amount": amount_text(line.amount, invoice.currency),
        "negative": line.amount < 0,
        "steps": steps,
        "engine": line.engine,
    }


def _origin(line: InvoiceLine) -> str:
    """Where its terms are from: a plan's version, the subscription's own, or the contract as a whole."""
    if line.charge:
        return str(line.charge.version)
    return "own terms" if line.stream.subscription else line.stream.contract.number


def shown_step(step: dict[str, Any], currency: str) -> dict[str, str]:
    """A rating step as texts; what a step does not have stays empty."""
    return {
        "label": step["label"],
        "quantity": quantity_text(Decimal(step["quantity"])) if step.get("quantity") is not None else "",
        "unit_amount": _amount(step.get("unit_amount"), currency),
        "flat_amount": _amount(step.get("flat_amount"), currency),
        "amount": _amount(step.get("amount"), currency, places=6),
    }


def _amount(text: str | None, currency: str, places: int = 12) -> str:
    """An amount before rounding; an addend without end shows six places, the stored step keeps them all."""
    if text is None:
        return ""
    return amount_text(round(Decimal(text), places), currency)


def _corrects(line: InvoiceLine) -> dict[str, str] | None:
    """The earlier line that this one adjusts, named by its invoice."""
    if line.corrects is None:
        return None
    return {"text": f"{line.corrects.invoice}, line {line.corrects.position}", "url": change_url(line.corrects.invoice)}


def _days(line: InvoiceLine, zone: str) -> str:
    """First and last day of service in the contract's zone."""
    first = local_date(line.service_start, zone)
    last = local_date(line.service_end - timedelta(microseconds=1), zone)
    return f"{first} – {last}" if first != last else f"{first}"


def _usage_url(line: InvoiceLine, zone: str) -> str:
    """The explorer at the usage behind a line that was metered: its meter, its customer, its days of service."""
    meter = line.charge.meter if line.charge else None
    if meter is None:
        return ""
    return address(
        meter, line.stream.contract.customer_id, period=Period(line.service_start, line.service_end), timezone=zone
    )
