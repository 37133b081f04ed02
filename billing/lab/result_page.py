"""What the page of a trial shows: its inputs, how far its run is, and what the run found."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.urls import reverse

from billing.catalog.models import PlanVersion
from billing.charts import bars
from billing.lab.cohort import Cohort
from billing.lab.models import PriceTrial, TrialCandidate, TrialOutcome, TrialRun
from billing.lab.results import percent_text
from billing.lab.states import RunState
from billing.lab.statistics import FEW
from billing.lab.words import difference_text, factor_text
from billing.metering.models import Meter
from customers.backoffice import amount_text, quantity_text
from customers.models import LegalEntity

KINDS = {
    "recurring": "fee", "usage": "usage", "minimum": "minimum", "maximum": "maximum", "true_up": "true-up",
    "overage": "overage", "coupon": "coupon", "discount": "discount", "one_off": "one-off",
}  # fmt: skip
PROBLEMS = 50
"""Customers that could not be rated, on the page; the file has all."""


def about(trial: PriceTrial, candidates: Sequence[TrialCandidate]) -> list[tuple[str, str]]:
    """The trial's inputs in words, name and text of each."""
    cohort = Cohort.from_json(trial.cohort)
    said = []
    if cohort.versions:
        said.append("on " + ", ".join(str(each) for each in PlanVersion.objects.filter(pk__in=cohort.versions)
                                      .select_related("plan")))  # fmt: skip
    if cohort.currency:
        said.append(f"in {cohort.currency}")
    if cohort.entity:
        said.append(f"of {LegalEntity.objects.filter(pk=cohort.entity).first()}")
    if cohort.size_by:
        said.append(_size(cohort))
    if cohort.customers:
        ids = ", ".join(cohort.customers[:5])
        more = len(cohort.customers) - 5
        said.append(f"with the id {ids}{f' and {more} more' if more > 0 else ''}")
    return [
        ("Candidates", ", ".join(each.name for each in candidates)),
        ("They replace", trial.get_replaces_display()[0].lower() + trial.get_replaces_display()[1:]),
        ("Customers", "; ".join(said) or "all who have one"),
    ]


def _size(cohort: Cohort) -> str:
    bounds = [
        f"{word} {quantity_text(bound)}"
        for word, bound in (("at least", cohort.at_least), ("at most", cohort.at_most))
        if bound is not None
    ]
    meter = Meter.objects.filter(pk__in=[cohort.meter or 0]).first()
    what = "invoiced" if cohort.size_by == "revenue" else f"of {meter}"
    return f"{' and '.join(bounds)} {what} in these months"


def progress(run: TrialRun) -> dict[str, Any]:
    """How far a run is that works or waits."""
    total = len(run.contracts)
    return {
        "percent": f"{100 * run.done // total if total else 0}",
        "waiting": run.state == RunState.QUEUED,
        "done": quantity_text(run.done),
        "total": quantity_text(total),
    }


def found(run: TrialRun, candidates: Sequence[TrialCandidate], place: int) -> dict[str, Any]:
    """What a finished run found, for the candidate at that place; queries do not grow with the customers."""
    result = run.result or {}
    mine = result["candidates"][place]
    outcomes = TrialOutcome.objects.select_related("customer").in_bulk([*mine["more"], *mine["less"]])
    troubled = run.outcomes.exclude(problem="").select_related("customer").order_by("customer__legal_name")
    return {
        "totals": [
            _total(candidate.name, number == place, total)
            for number, candidate in enumerate(candidates)
            for total in result["candidates"][number]["totals"]
        ],
        "cards": _cards(mine["totals"]),
        "few": result["compared"] < FEW,
        "compared": quantity_text(result["compared"]),
        "compared_count": result["compared"],
        "chart": _chart(mine["bars"]),
        "bars": [(label, quantity_text(count), _share(count, result["compared"])) for label, count in mine["bars"]],
        "parts": [_part(row, result["names"]) for row in mine["parts"]],
        "more": [outcome_row(run, outcomes[pk], place) for pk in mine["more"] if pk in outcomes],
        "less": [outcome_row(run, outcomes[pk], place) for pk in mine["less"] if pk in outcomes],
        "problems": [(str(each.customer), each.problem) for each in troubled[:PROBLEMS]] if result["problems"] else [],
        "problems_count": result["problems"],
    }


def _chart(counted: Sequence[tuple[str, int]]) -> dict[str, Any]:
    """The distribution as bars, each with its name."""
    chart = bars([label for label, _ in counted], {"Customers": [count for _, count in counted]})
    options = json.loads(chart["options"])
    options["scales"]["x"]["ticks"] |= {"autoSkip": False, "maxRotation": 60}
    return chart | {"options": json.dumps(options)}


def outcome_row(run: TrialRun, outcome: TrialOutcome, place: int) -> dict[str, str]:
    """A customer's amounts as texts, with the address of its steps."""
    amount = outcome.amounts[place] if outcome.amounts else None
    row = {
        "name": outcome.customer.legal_name,
        "id": outcome.customer.external_id,
        "url": reverse("admin:billing_pricetrial_customer", args=[run.trial_id, run.number, outcome.customer_id])
        + f"?candidate={place + 1}",
        "problem": outcome.problem,
    }
    if amount is None:
        return row
    return row | {
        "today": amount_text(outcome.today, outcome.currency),
        "amount": amount_text(amount, outcome.currency),
        "difference": difference_text(amount - outcome.today, outcome.currency),
        "percent": percent_text(outcome.today, amount),
    }


def _total(name: str, chosen: bool, total: dict[str, Any]) -> dict[str, Any]:
    currency = total["currency"]
    return {
        "name": name, "chosen": chosen, "currency": currency,
        "today": amount_text(Decimal(total["today"]), currency),
        "amount": amount_text(Decimal(total["amount"]), currency),
        "difference": difference_text(Decimal(total["difference"]), currency),
        "percent": total["percent"],
        "customers": quantity_text(total["more"] + total["less"] + total["same"]),
        "all_prices": factor_text(total["all_prices"]), "usage_prices": factor_text(total["usage_prices"]),
    }  # fmt: skip


def _cards(totals: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """How many pay more, less and the same, and Σ of it by currency."""

    def sums(name: str, sign: int) -> str:
        amounts = [(sign * Decimal(total[name]), total["currency"]) for total in totals]
        return ", ".join(difference_text(amount, currency) for amount, currency in amounts if amount)

    return [
        {"name": "pay more", "count": quantity_text(sum(total["more"] for total in totals)), "text": sums("up", 1)},
        {"name": "pay less", "count": quantity_text(sum(total["less"] for total in totals)), "text": sums("down", -1)},
        {"name": "pay the same", "count": quantity_text(sum(total["same"] for total in totals)), "text": ""},
    ]


def _share(count: int, total: int) -> str:
    return f"{round(Decimal(100 * count) / total, 1)} %" if total else "-"


def _part(row: Sequence[str], names: dict[str, str]) -> dict[str, str]:
    currency, kind, code, today, amount = row
    one, other = Decimal(today), Decimal(amount)
    return {
        "name": names.get(code, code) or KINDS.get(kind, kind), "kind": KINDS.get(kind, kind),
        "today": amount_text(one, currency), "amount": amount_text(other, currency),
        "difference": difference_text(other - one, currency), "percent": percent_text(one, other),
    }  # fmt: skip
