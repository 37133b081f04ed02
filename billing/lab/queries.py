"""Reads of the lab: whom a trial rates, and what its runs found."""

from collections.abc import Iterable
from decimal import Decimal

from django.db.models import Sum

from billing.catalog.models import SubscriptionInterval
from billing.invoicing.models import InvoiceLine
from billing.invoicing.states import NUMBERED, InvoiceState
from billing.lab.cohort import Cohort
from billing.lab.comparing import in_force, period_of
from billing.lab.models import PriceTrial
from billing.metering.models import EventBatch, Meter
from billing.metering.queries import quantities
from customers.models import Contract
from customers.states import ContractState

STEP = 1_000
"""Customers whose usage is asked for at once."""


def contracts_of(trial: PriceTrial) -> list[int]:
    """Active contracts of the cohort with a subscription that a candidate replaces, a customer's side by side."""
    cohort = Cohort.from_json(trial.cohort)
    plans = trial.candidates.values("plan")
    bound = SubscriptionInterval.objects.filter(in_force(trial))
    if trial.replaces == PriceTrial.Replaces.PLAN:
        bound = bound.filter(version__plan__in=plans)
    else:
        bound = bound.filter(subscription__product__in=trial.candidates.values("plan__product"))
    if cohort.versions:
        bound = bound.filter(version__in=cohort.versions)
    contracts = Contract.objects.filter(state=ContractState.ACTIVE, id__in=bound.values("subscription__contract"))
    if cohort.currency:
        contracts = contracts.filter(currency=cohort.currency)
    if cohort.entity:
        contracts = contracts.filter(entity=cohort.entity)
    if cohort.customers:
        contracts = contracts.filter(customer__external_id__in=cohort.customers)
    rows = list(contracts.order_by("customer_id", "id").values_list("id", "customer_id"))
    if cohort.size_by:
        sizes = _sizes(trial, cohort, {customer for _, customer in rows})
        rows = [row for row in rows if cohort.holds(sizes.get(row[1], Decimal(0)))]
    return [contract for contract, _ in rows]


def known_through() -> int | None:
    """The position of the last usage that is counted; what is pending is read too, and has none yet."""
    latest = EventBatch.objects.exclude(position=None).order_by("-position").values_list("position", flat=True)
    return latest.first()


def _sizes(trial: PriceTrial, cohort: Cohort, customer_ids: Iterable[int]) -> dict[int, Decimal]:
    """How large each customer is in the trial's months."""
    months, ids = period_of(trial, "UTC"), sorted(customer_ids)
    if cohort.size_by == "revenue":
        told = (InvoiceState.APPROVED, *NUMBERED)
        lines = InvoiceLine.objects.filter(
            invoice__state__in=told, service_start__gte=months.start, service_start__lt=months.until
        )
        return dict(lines.values_list("stream__contract__customer").annotate(all=Sum("amount")).order_by())
    assert cohort.meter is not None  # of a size by usage
    meter = Meter.objects.get(pk=cohort.meter)
    rows = [
        row
        for start in range(0, len(ids), STEP)
        for row in quantities(customer_ids=ids[start : start + STEP], meters=[meter], period=months)
    ]
    return {row.customer_id: row.quantity.value for row in rows}
