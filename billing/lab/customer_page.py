"""One customer of a trial: the steps of today's terms and of a candidate side by side, and where they cross."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from billing.charts import lines as line_chart
from billing.invoicing.whatif import Expected, ExpectedLine
from billing.lab.comparing import Setup, answers, setup_of
from billing.lab.crossing import crossings
from billing.lab.models import TrialOutcome, TrialRun
from billing.lab.results import percent_text
from billing.lab.scaling import Line, Scaled, scaled
from billing.lab.words import difference_text, step_texts
from billing.periods import Period, local_date
from billing.pricing.words import plural
from customers.backoffice import amount_text, quantity_text
from customers.models import Contract, Customer

FACTORS = tuple(Decimal(text) for text in ("0", "0.25", "0.5", "0.75", "1", "1.25", "1.5", "2", "3", "4"))
"""Multiples of the usage on the chart."""


def customer_context(run: TrialRun, customer: Customer, place: int) -> dict[str, Any]:
    """The contracts of the customer that the run rated, computed anew; constant queries.

    What has changed since the run is told, because the amounts of the run stand as they are. Errors as `answers`.
    """
    setup = setup_of(run.trial)
    rated = frozenset(run.contracts)  # thousands: too many to travel in a question
    contracts = [each for each in Contract.objects.filter(customer=customer).order_by("number") if each.pk in rated]
    given = answers(setup, contracts)
    kept = list(TrialOutcome.objects.filter(run=run, customer=customer).order_by("currency"))
    return {
        "contracts": [_contract(setup, contract, given[contract.pk], place) for contract in contracts],
        "kept": [_kept(each, contracts, given, place) for each in kept if not each.problem],
        "problems": [each.problem for each in kept if each.problem],
    }


def _kept(
    outcome: TrialOutcome, contracts: Sequence[Contract], given: dict[int, list[Expected]], place: int
) -> dict[str, Any]:
    """The amounts that the run kept, and whether the same comes out now."""
    mine = [given[contract.pk] for contract in contracts if contract.currency == outcome.currency]
    now = [sum((columns[column].total for columns in mine), Decimal(0)) for column in (0, place + 1)]
    amount = outcome.amounts[place]
    return {
        "today": amount_text(outcome.today, outcome.currency),
        "amount": amount_text(amount, outcome.currency),
        "difference": difference_text(amount - outcome.today, outcome.currency),
        "percent": percent_text(outcome.today, amount),
        "changed": now != [outcome.today, amount],
    }


def _contract(setup: Setup, contract: Contract, columns: Sequence[Expected], place: int) -> dict[str, Any]:
    today, candidate = columns[0], columns[place + 1]
    return {
        "number": contract.number,
        "sides": [
            _side("Today", contract, today),
            _side(setup.candidates[place].name, contract, candidate),
        ],
        "crossing": _crossing(contract.currency, today, candidate),
    }


def _side(name: str, contract: Contract, given: Expected) -> dict[str, Any]:
    return {
        "name": name,
        "problem": given.problem,
        "total": amount_text(given.total, given.currency),
        "lines": [
            {
                "name": line.charge.name if line.charge else line.kind.replace("_", "-").capitalize(),
                "cycle": _days(line.service, contract.timezone),
                "quantity": _quantity(line),
                "amount": amount_text(line.amount, given.currency),
                "steps": [step_texts(step, given.currency) for step in line.steps],
            }
            for line in sorted(given.lines, key=_place)
        ],
    }


def _place(line: ExpectedLine) -> tuple[Any, ...]:
    """By cycle, subscription and the order on the invoice; what belongs to no charge comes last."""
    charge = line.charge
    return line.cycle.start, line.stream[0], (charge is None, charge.position if charge else 0), line.kind


def _quantity(line: ExpectedLine) -> str:
    if line.charge is None or line.charge.meter_id is None or line.quantity is None:
        return quantity_text(line.quantity)
    return f"{quantity_text(round(line.quantity, 6))} {plural(line.charge.unit, Fraction(line.quantity))}"


def _days(period: Period, zone: str) -> str:
    first, last = local_date(period.start, zone), local_date(period.until - timedelta(microseconds=1), zone)
    return f"{first} – {last}"


def _crossing(currency: str, today: Expected, candidate: Expected) -> dict[str, Any] | None:
    """Totals against multiples of the usage, and where the candidate changes sides; None where it has no meaning."""
    if today.problem or candidate.problem:
        return None
    one, other = _scaled(today), _scaled(candidate)
    if one is None or other is None or not any(line.price for line in (*one.lines, *other.lines)):
        return None
    rows = [(factor, one(factor), other(factor)) for factor in FACTORS]
    labels = [f"{quantity_text(factor)} ×" for factor in FACTORS]
    return {
        "chart": line_chart(labels, {"Today": [row[1] for row in rows], "Candidate": [row[2] for row in rows]}),
        "rows": [
            (label, amount_text(row[1], currency), amount_text(row[2], currency),
             difference_text(row[2] - row[1], currency))
            for label, row in zip(labels, rows, strict=True)
        ],
        "found": [
            {
                "dearer": each.dearer,
                "factor": f"{round(each.factor, 3).normalize():f}",
                "quantity": _used(today, candidate, each.factor),
            }
            for each in crossings(one, other)
        ],
    }  # fmt: skip


def _scaled(given: Expected) -> Scaled | None:
    lines = []
    for line in given.lines:
        if line.kind == "recurring":
            lines.append(Line(line.amount))
        elif line.kind == "usage" and line.charge and line.quantity is not None:
            lines.append(Line(line.amount, line.charge.price, line.quantity))
        else:
            return None
    return scaled(lines)


def _used(today: Expected, candidate: Expected, factor: Decimal) -> str:
    """The usage at that factor where a single meter is charged in a single cycle, else empty."""
    lines = [line for given in (today, candidate) for line in given.lines if line.kind == "usage" and line.charge]
    if len({(line.charge.meter_id, line.quantity) for line in lines if line.charge}) != 1:
        return ""
    charge, whole = lines[0].charge, lines[0].quantity
    assert charge is not None  # of usage
    assert whole is not None  # else nothing is scaled
    quantity = round(whole * factor)
    return f"{quantity_text(quantity)} {plural(charge.unit, Fraction(quantity))}"
