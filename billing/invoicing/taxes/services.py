"""Verbs of taxes: rates, tax codes of products, and the tax of a draft that no run wrote."""

from datetime import date, datetime
from decimal import Decimal

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from billing.catalog.models import Product
from billing.invoicing.models import Invoice, InvoiceLine
from billing.invoicing.taxes.drafting import Document, rows_of, share_out
from billing.invoicing.taxes.finding import taxes_of_lines
from billing.invoicing.taxes.models import InvoiceTax, ProductTax, TaxRate


@transaction.atomic
def take_rate_back(*, fact: TaxRate | ProductTax, now: datetime) -> None:
    """As if it had never been said; what is approved or issued keeps its tax. Twice is once."""
    type(fact).objects.filter(pk=fact.pk, undone_at=None).update(undone_at=now)


@transaction.atomic
def tax_draft(*, invoice: Invoice) -> Invoice:
    """Tax a draft whose lines did not come from a run: corrections take the taxes of what they correct.

    Sets `tax` and `total` and the rows of taxes. Lines that correct nothing keep the taxes that they have.
    """
    lines = list(invoice.lines.order_by("position"))
    known = taxes_of_lines({line.corrects_id for line in lines if line.corrects_id})
    for line in lines:
        line.taxes = known.get(line.corrects_id or 0, line.taxes)
    share_out([Document(invoice.entity_id, invoice.currency, invoice.as_of, lines)])
    InvoiceLine.objects.bulk_update(lines, ["taxes", "tax"])
    InvoiceTax.objects.filter(invoice=invoice).delete()
    InvoiceTax.objects.bulk_create(rows_of(invoice, lines))
    invoice.tax = sum((line.tax for line in lines), Decimal(0))
    invoice.total = invoice.net + invoice.tax
    invoice.save(update_fields=["tax", "total"])
    return invoice


@transaction.atomic
def set_rate(
    *, code: str, name: str, country: str, percentage: Decimal, start: date, reason: str, now: datetime,
    user: AbstractBaseUser | None = None, region: str = "", category: str = "", compound: bool = False,
    end: date | None = None, position: int = 0,
) -> TaxRate:  # fmt: skip
    """Put a rate (in percent) into the table from a day on: it takes the place of the one before of the same code.

    A row of the same day is replaced. What is approved or issued keeps its tax. ValidationError for bad values.
    """
    TaxRate.objects.filter(code=code, start=start, undone_at=None).update(undone_at=now)
    rate = TaxRate(
        code=code, name=name.strip(), country=country.strip().upper(), region=region.strip(), category=category.strip(),
        percentage=percentage, compound=compound, start=start, end=end, position=position, reason=reason.strip(),
        recorded_at=now, recorded_by=user,  # type: ignore[misc]
    )  # fmt: skip
    rate.full_clean()
    rate.save()
    return rate


@transaction.atomic
def set_tax_code(
    *, product: Product, category: str, start: date, reason: str, now: datetime, user: AbstractBaseUser | None = None
) -> ProductTax:
    """The tax code of a product from a day on, for charges without their own; "" for what is ordinary."""
    ProductTax.objects.filter(product=product, start=start, undone_at=None).update(undone_at=now)
    fact = ProductTax(
        product=product, category=category.strip(), start=start, reason=reason.strip(), recorded_at=now,
        recorded_by=user,  # type: ignore[misc]
    )  # fmt: skip
    fact.full_clean()
    fact.save()
    return fact
