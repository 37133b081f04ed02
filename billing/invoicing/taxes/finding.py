"""Which taxes apply to lines: by who sells, who pays, what is sold and when. Constant queries for a chunk."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from billing.catalog.models import Charge
from billing.invoicing.models import InvoiceLine
from billing.invoicing.taxes import providers
from billing.invoicing.taxes.errors import TaxError
from billing.invoicing.taxes.models import ProductTax
from billing.invoicing.taxes.providers import Sale
from billing.invoicing.taxes.rules import Tax
from billing.periods import local_date
from customers.knowledge import in_force
from customers.models import Contract, LegalEntity, TaxSetup, TaxTreatment
from customers.taxation.queries import Treatments, last_of, setups_of

Rows = list[dict[str, Any]]
"""Taxes of a line as it keeps them: JSON, with the amount of each where it is told."""
Sold = tuple[int, int, datetime, datetime, int | None]
"""Contract id, id of who pays, service, and charge id."""


def to_rows(taxes: Iterable[Tax]) -> Rows:
    """Taxes as a line keeps them, without amounts."""
    return [
        {
            "code": tax.code, "name": tax.name, "percentage": f"{tax.percentage:f}", "compound": tax.compound,
            "treatment": tax.treatment, "note": tax.note,
        }
        for tax in taxes
    ]  # fmt: skip


def from_rows(rows: Rows) -> tuple[Tax, ...]:
    """What `to_rows` wrote."""
    return tuple(
        Tax(row["code"], row["name"], Decimal(row["percentage"]), row["compound"], row["treatment"], row["note"])
        for row in rows
    )


@dataclass(slots=True)
class Finder:
    """The facts about tax of some contracts and those who pay for them; made by `finder_of`."""

    contracts: dict[int, Contract]
    countries: dict[int, str]
    setups: dict[int, list[TaxSetup]]
    treatments: Treatments

    def setup(self, contract: Contract, service: tuple[datetime, datetime]) -> tuple[TaxSetup, date] | None:
        """How the seller taxes a service, and on which day its rate is looked up; None where it computes no tax."""
        last = local_date(service[1] - timedelta(microseconds=1), contract.timezone)
        first = local_date(service[0], contract.timezone)
        setup = last_of(self.setups.get(contract.entity_id, ()), last)
        if setup is None or not setup.provider:
            return None
        return setup, last if setup.point == TaxSetup.Point.SERVICE_END else first

    def taxes(self, sold: Collection[Sold], *, again: bool = False) -> dict[Sold, Sequence[Tax] | TaxError]:
        """What applies to each, or why it cannot be told; two queries and one question to each provider.

        Asked `again`, only providers that remember what was known; what others said is left out.
        """
        found: dict[Sold, Sequence[Tax] | TaxError] = {}
        asked: dict[str, dict[Sold, Sale]] = defaultdict(dict)
        days: dict[Sold, tuple[TaxSetup, date]] = {}
        for each in dict.fromkeys(sold):
            told = self.setup(self.contracts[each[0]], each[2:4])
            if told is None:
                found[each] = ()
            else:
                days[each] = told
        codes = _tax_codes(days)
        for each, (setup, day) in days.items():
            contract = self.contracts[each[0]]
            treatment = self.treatments.on(each[1], contract.entity_id, day)
            if treatment is not None and treatment.treatment != TaxTreatment.Treatment.STANDARD:
                found[each] = (untaxed(treatment),)
                continue
            country = (treatment.country if treatment else "") or self.countries[contract.entity_id]
            asked[setup.provider][each] = Sale(
                contract.entity_id, each[1], country, treatment.region if treatment else "", codes[each],
                contract.currency, day,
            )  # fmt: skip
        for provider, sales in asked.items():
            if again and not providers.remembers(provider):
                continue
            answers = providers.ask(provider, list(dict.fromkeys(sales.values())))
            found |= {each: answers[sale] for each, sale in sales.items()}
        return found


def finder_of(contracts: Iterable[Contract], payer_ids: Collection[int]) -> Finder | None:
    """The facts about tax of contracts, now or as they were known; None where no seller computes tax. Three queries."""
    known = {each.pk: each for each in contracts}
    sellers = {each.entity_id for each in known.values()}
    setups = setups_of(sellers)
    if not setups:
        return None
    countries = dict(LegalEntity.objects.filter(pk__in=sellers).values_list("pk", "country"))
    return Finder(known, countries, setups, Treatments(payer_ids))


def not_as_told(
    lines: Iterable[InvoiceLine], contracts: Iterable[Contract], payers: Mapping[int, int]
) -> list[InvoiceLine]:
    """The stored lines whose taxes are not those of the facts, now or as they were known; `payers` by line id.

    A correction is held against the line that it corrects. What a provider said that does not remember, stands.
    """
    lines = list(lines)
    corrected = taxes_of_lines({line.corrects_id for line in lines if line.corrects_id})
    wrong = [line for line in lines if line.corrects_id and _rates(line) != corrected[line.corrects_id]]
    new = [line for line in lines if line.corrects_id is None]
    finder = finder_of(contracts, set(payers.values()))
    if finder is None:
        return wrong + [line for line in new if line.taxes]
    sold = {line.pk: sold_as(line, line.stream.contract_id, payers[line.pk]) for line in new}
    found = finder.taxes(sold.values(), again=True)
    for line in new:
        told = found.get(sold[line.pk])
        if told is not None and (isinstance(told, TaxError) or to_rows(told) != _rates(line)):
            wrong.append(line)
    return wrong


def taxes_of_lines(line_ids: Collection[int]) -> dict[int, Rows]:
    """The taxes of stored lines by line id, without amounts; one query, and none for no lines."""
    if not line_ids:
        return {}
    rows = InvoiceLine.objects.filter(pk__in=line_ids).order_by().values_list("pk", "taxes")
    return {key: to_rows(from_rows(taxes)) for key, taxes in rows}


def _rates(line: InvoiceLine) -> Rows:
    return to_rows(from_rows(line.taxes))


def untaxed(treatment: TaxTreatment) -> Tax:
    """Why a line bears no tax, as a tax of nothing: it is printed, and a correction keeps it."""
    return Tax(
        treatment.treatment, treatment.get_treatment_display(), Decimal(0), treatment=treatment.treatment,
        note=treatment.note,
    )  # fmt: skip


def sold_as(line: InvoiceLine, contract_id: int, payer_id: int) -> Sold:
    """What `Finder.taxes` takes for a line."""
    return contract_id, payer_id, line.service_start, line.service_end, line.charge_id


def _tax_codes(days: dict[Sold, tuple[TaxSetup, date]]) -> dict[Sold, str]:
    """The tax code of each: the charge's own, else its product's on the day, else none. Two queries."""
    charges = {
        key: (code, product)
        for key, code, product in Charge.objects.filter(pk__in={each[4] for each in days if each[4]}).values_list(
            "pk", "tax_code", "code__product"
        )
    }
    of_product: dict[int, list[ProductTax]] = defaultdict(list)
    rows = ProductTax.objects.filter(product__in={product for _, product in charges.values()})
    for fact in sorted(in_force(rows, "undone_at"), key=lambda fact: (fact.start, fact.pk)):
        of_product[fact.product_id].append(fact)
    found = {}
    for each, (_setup, day) in days.items():
        own, product = charges.get(each[4] or 0, ("", 0))
        of_day = last_of(of_product.get(product, ()), day)
        found[each] = own or (of_day.category if of_day else "")
    return found
