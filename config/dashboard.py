"""The home page: what waits for a person first, then how the month goes, then usage and invoicing as pictures.

Each part is computed only for those who may see what it is about.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Count, Model, Sum
from django.db.models.functions import TruncMonth
from django.http import HttpRequest
from django.urls import reverse

from billing.catalog.models import PlanVersion
from billing.charts import bars
from billing.hosted.models import Dispute
from billing.hosted.states import DisputeState
from billing.invoicing.models import BillingRun, Invoice, RunOutcome
from billing.invoicing.states import NUMBERED, InvoiceState
from billing.metering.alerts.models import UsageAlert
from billing.metering.explorer import activity
from billing.metering.models import Meter
from billing.metering.sources import queries as sources
from billing.metering.sources.models import PullSource
from billing.payments.queries import with_standing
from billing.payments.writeoffs.models import WriteOff
from billing.verification.models import Verification
from config import clock
from customers.backoffice import amount_text, change_url, list_url, quantity_text
from customers.models import Contract, Customer, LegalEntity

DAYS = 30
MONTHS = 12


def home(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Fill the home page's context (UNFOLD DASHBOARD_CALLBACK)."""
    now = clock.now()
    may = request.user.has_perm
    context |= {"title": "Home", "queues": [], "cards": [], "charts": [], "first_steps": _first_steps(may)}
    if may("billing.view_invoice"):
        context["queues"] += _invoice_queues(now.date())
        context["cards"] = _issued(now.date())
        context["charts"] += _invoiced_by_month(now.date())
    if may("billing.view_billingrun"):
        context["queues"] += _troubles()
    if may("billing.view_dispute"):
        context["queues"] += _waiting(Dispute, "Questions of customers", DisputeState.OPEN, "wait for an answer")
    if may("billing.view_writeoff"):
        context["queues"] += _waiting(WriteOff, "Write-offs", WriteOff.State.REQUESTED, "wait for approval")
    if may("billing.view_verification"):
        context["queues"] += _differences()
    if may("billing.view_usagealert"):
        context["queues"] += _alerts()
    if may("billing.view_pullsource"):
        context["queues"] += _pull_sources()
    if may("billing.view_meter"):
        context["queues"] += _unmatched(now)
        context["charts"].insert(0, _events_by_day(now))
    return context


def _queue(name: str, count: int, url: str, lines: Sequence[str], kind: str = "waits") -> dict[str, Any]:
    """A card of the first row; `lines` say how much is in it."""
    shown = quantity_text(count)
    return {"name": name, "count": shown, "url": url, "lines": lines, "kind": kind if count else ""}


def _invoice_queues(today: date) -> list[dict[str, Any]]:
    """Drafts, approved ones and overdue ones, with their totals by currency."""
    open_states = [InvoiceState.DRAFT, InvoiceState.APPROVED]
    waiting = Invoice.objects.filter(state__in=open_states).values("state", "currency").order_by("currency")
    found: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for row in waiting.annotate(n=Count("pk"), amount=Sum("total")):
        found[row["state"]].append((row["n"], amount_text(row["amount"], row["currency"])))
    overdue = with_standing(Invoice.objects.filter(state=InvoiceState.ISSUED, due_date__lt=today), today)
    rows = overdue.filter(standing="overdue").values_list("currency", "open").order_by("currency")
    late: dict[str, list[Decimal]] = defaultdict(list)
    for currency, amount in rows:
        late[currency].append(amount)
    found["overdue"] = [(len(each), amount_text(sum(each, Decimal(0)), currency)) for currency, each in late.items()]
    cards = [
        ("Drafts to review", "draft", "state__exact=draft", "waits"),
        ("Approved, to be issued", "approved", "state__exact=approved", "waits"),
        ("Overdue", "overdue", "standing=overdue", "urgent"),
    ]
    return [
        _queue(name, sum(n for n, _ in found[key]), list_url(Invoice, query), [text for _, text in found[key]], kind)
        for name, key, query, kind in cards
    ]


def _waiting(model: type[Model], name: str, state: str, words: str) -> list[dict[str, Any]]:
    """What somebody asked for and nobody has decided; no card where there is nothing."""
    count = model._default_manager.filter(state=state).count()
    return [_queue(name, count, list_url(model, f"state__exact={state}"), [words])] if count else []


def _differences() -> list[dict[str, Any]]:
    """Invoices that the last verification found to differ."""
    run = Verification.objects.order_by("-pk").first()
    if run is None or not run.different:
        return []
    return [_queue("Invoices that differ", run.different, change_url(run), ["from what their facts come to"], "urgent")]


def _troubles() -> list[dict[str, Any]]:
    """Contracts that the last run could not bill."""
    run = BillingRun.objects.order_by("-pk").first()
    if run is None:
        return []
    outcomes = RunOutcome.objects.filter(run=run, result__in=[RunOutcome.Result.FAILED, RunOutcome.Result.HELD])
    counts = dict(outcomes.values_list("result").annotate(n=Count("pk")).order_by())
    failed, held = counts.get("failed", 0), counts.get("held", 0)
    lines = [f"{failed} failed", f"{held} held"] if failed or held else [f"as of {run.as_of}"]
    return [
        _queue("Not billed by the last run", failed + held, change_url(run), lines, "urgent" if failed else "waits")
    ]


def _alerts() -> list[dict[str, Any]]:
    """Usage that stopped or jumped, and silent sources, that nobody has looked into."""
    kinds = UsageAlert.objects.filter(closed_at=None, acknowledged_at=None).values_list("kind")
    counts = dict(kinds.annotate(n=Count("pk")).order_by("kind"))
    lines = [f"{count} {UsageAlert.Kind(kind).label.lower()}" for kind, count in counts.items()]
    url = list_url(UsageAlert, "standing=open")
    return [_queue("Usage alerts", sum(counts.values()), url, lines or ["usage is as it was"])]


def _unmatched(now: datetime) -> list[dict[str, Any]]:
    """Events of the last days whose subject no customer claims."""
    rows = activity.unmatched_subjects(now.date() - timedelta(days=DAYS))
    lines = [f"from {len(rows)} subject{'' if len(rows) == 1 else 's'} in {DAYS} days"]
    return [_queue("Unmatched events", sum(row.events for row in rows), reverse("admin:billing_unmatched"), lines)]


def _pull_sources() -> list[dict[str, Any]]:
    """Places that usage is fetched from and that need a look; nothing while there is no such place."""
    total, failing, silent = sources.troubles()
    if not total:
        return []
    lines = [f"{failing} failing", f"{silent} silent"] if failing or silent else [f"{total} in all"]
    return [_queue("Pull sources in trouble", failing + silent, list_url(PullSource), lines, "urgent")]


def _issued(today: date) -> list[dict[str, Any]]:
    """Invoiced this month against the whole of last month, a card a currency."""
    month = today.replace(day=1)
    before = (month - timedelta(days=1)).replace(day=1)
    rows = Invoice.objects.filter(state__in=NUMBERED, issue_date__gte=before)
    sums: dict[str, dict[date, Decimal]] = defaultdict(dict)
    grouped = rows.annotate(month=TruncMonth("issue_date")).values_list("currency", "month").annotate(Sum("total"))
    for currency, at, total in grouped.order_by("currency"):
        sums[currency][at] = total
    return [
        {
            "name": f"Invoiced in {month:%B}",
            "value": amount_text(by_month.get(month, Decimal(0)), currency),
            "note": f"{before:%B}: {amount_text(by_month.get(before, Decimal(0)), currency)}",
            "change": _change(by_month.get(month), by_month.get(before)),
            "url": list_url(Invoice, f"issue_date__gte={month}&currency={currency}"),
        }
        for currency, by_month in sums.items()
    ]


def _change(new: Decimal | None, old: Decimal | None) -> str:
    """“+12.5 %” of last month; empty where last month had nothing."""
    if not old:
        return ""
    return f"{((new or Decimal(0)) / old - 1) * 100:+.1f} %".replace("-", "−")


def _events_by_day(now: datetime) -> dict[str, Any]:
    """Usage events of the last thirty days, in UTC."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    first = today - timedelta(days=DAYS - 1)
    found = dict(activity.events_by_day(first.date()))
    days = [first.date() + timedelta(days=place) for place in range(DAYS)]
    counts = [found.get(day, 0) for day in days]
    return {
        "title": f"Usage events, last {DAYS} days",
        "empty": "" if any(counts) else _no_usage(),
        "chart": bars([f"{day:%d %b}" for day in days], {"events": counts}),
        "headers": ["Day (UTC)", "Events"],
        "rows": [(day, quantity_text(count)) for day, count in zip(days, counts, strict=True) if count],
    }


def _no_usage() -> str:
    """What to do while there is none."""
    return "meter" if not Meter.objects.exists() else "events"


def _invoiced_by_month(today: date) -> list[dict[str, Any]]:
    """What was issued in each of the last twelve months, a chart a currency: amounts of two are never added."""
    months = [_months_before(today.replace(day=1), count) for count in range(MONTHS - 1, -1, -1)]
    rows = Invoice.objects.filter(state__in=NUMBERED, issue_date__gte=months[0])
    sums: dict[str, dict[date, Decimal]] = defaultdict(dict)
    grouped = rows.annotate(month=TruncMonth("issue_date")).values_list("currency", "month").annotate(Sum("total"))
    for currency, at, total in grouped.order_by("currency"):
        sums[currency][at] = total
    charts = []
    for currency, by_month in sums.items():
        values = [by_month.get(month, Decimal(0)) for month in months]
        charts.append(
            {
                "title": f"Invoiced by month, {currency}",
                "chart": bars([f"{month:%b %y}" for month in months], {currency: values}),
                "headers": ["Month", "Invoiced"],
                "rows": [
                    (f"{month:%Y-%m}", amount_text(value, currency))
                    for month, value in zip(months, values, strict=True)
                    if value
                ],
            }
        )
    return charts or [{"title": f"Invoiced, last {MONTHS} months", "empty": "invoices", "rows": []}]


def _months_before(month: date, count: int) -> date:
    """The first day of the month `count` months earlier."""
    place = month.year * 12 + month.month - 1 - count
    return date(place // 12, place % 12 + 1, 1)


def _first_steps(may: Any) -> list[dict[str, Any]]:
    """What a new installation still needs, in order; empty once each is there."""
    steps = [
        ("Add your legal entity", LegalEntity, "customers.add_legalentity", "admin:customers_legalentity_add"),
        ("Create a meter", Meter, "billing.add_meter", "admin:billing_meter_add"),
        ("Publish a plan", PlanVersion, "billing.add_plan", "admin:billing_plan_changelist"),
        ("Add a customer", Customer, "customers.add_customer", "admin:customers_customer_add"),
        ("Sign a contract", Contract, "customers.add_contract", "admin:customers_contract_add"),
        ("Run billing", BillingRun, "billing.start_billingrun", "admin:billing_billingrun_changelist"),
    ]
    found = [
        {"name": name, "done": model._default_manager.exists(), "url": reverse(url) if may(permission) else ""}
        for name, model, permission, url in steps
    ]
    return [] if all(step["done"] for step in found) else found
