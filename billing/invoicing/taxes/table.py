"""The built-in provider: the table of tax rates, by place, tax code and day."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

from billing.invoicing.taxes.errors import UnknownTax
from billing.invoicing.taxes.models import TaxRate
from billing.invoicing.taxes.providers import Answers, Sale
from billing.invoicing.taxes.rules import Tax
from customers.knowledge import in_force


class TableOfRates:
    """All rates of a place that are in force for a tax code, those of the country before those of the region."""

    remembers = True

    def taxes(self, sales: Sequence[Sale]) -> Answers:
        """The taxes of each sale, or UnknownTax; one query."""
        rates: dict[str, list[TaxRate]] = defaultdict(list)
        rows = TaxRate.objects.filter(country__in={sale.country for sale in sales})
        for rate in in_force(rows, "undone_at"):
            rates[rate.code].append(rate)
        return {sale: self._of(sale, rates) or _unknown(sale) for sale in sales}

    def _of(self, sale: Sale, rates: dict[str, list[TaxRate]]) -> list[Tax]:
        found = [rate for facts in rates.values() if (rate := _on(facts, sale.day)) and _is_for(rate, sale)]
        found.sort(key=lambda rate: (rate.compound, rate.region != "", rate.position, rate.code))
        return [Tax(rate.code, rate.name, rate.percentage.normalize(), rate.compound) for rate in found]


def _on(facts: Sequence[TaxRate], day: date) -> TaxRate | None:
    """The rate of a code on a day: the one that begins last, while it lasts."""
    begun = max((fact for fact in facts if fact.start <= day), key=lambda fact: (fact.start, fact.pk), default=None)
    return begun if begun and (begun.end is None or day < begun.end) else None


def _is_for(rate: TaxRate, sale: Sale) -> bool:
    return rate.country == sale.country and rate.region in ("", sale.region) and rate.category == sale.tax_code


def _unknown(sale: Sale) -> UnknownTax:
    return UnknownTax(sale.tax_code, "-".join(filter(None, (sale.country, sale.region))), sale.day)
