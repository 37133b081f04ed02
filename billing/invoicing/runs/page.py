"""What the page of a run prints, put together from queries."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from django.core.paginator import Paginator

from billing.invoicing.holds.found import LABELS
from billing.invoicing.holds.models import Hold
from billing.invoicing.holds.queries import open_holds
from billing.invoicing.runs import queries
from billing.invoicing.runs.models import BillingRun, RunOutcome
from billing.invoicing.runs.queries import Progress
from billing.invoicing.runs.states import WORKING, RunState
from customers.backoffice import amount_text, badge, change_url, link_to, quantity_text

SHOWN: Final = 50
Result = RunOutcome.Result
STATE_BADGES: Final = {
    RunState.QUEUED.label: "",
    RunState.RUNNING.label: "info",
    RunState.DONE.label: "success",
    RunState.PROBLEMS.label: "warning",
    RunState.CANCELLED.label: "",
}
RESULT_BADGES: Final = {
    Result.DRAFTED.label: "success",
    Result.UNCHANGED.label: "",
    Result.HELD.label: "warning",
    Result.FAILED.label: "danger",
}


def context_of(run: BillingRun, asked: Mapping[str, str]) -> dict[str, Any]:
    """The page of a run: `asked` has what is shown, the search and the page number."""
    progress = queries.progress_of(run)
    working = run.state in WORKING
    show = asked.get("show", "trouble" if progress.troubled else "")
    show = show if show in ("trouble", *Result.values) else ""
    return {
        "run": run, "state": badge(run.get_state_display(), STATE_BADGES), "working": working, "progress": progress,
        "done": quantity_text(progress.done), "total": quantity_text(progress.contracts),
        "tabs": _tabs(progress, show), "table": _table(run, show, asked),
        "can_repeat": progress.troubled and not working,
        "repeats": run.again and link_to(run.again, f"Run {run.again.pk}"),
    }  # fmt: skip


def _tabs(progress: Progress, show: str) -> list[dict[str, Any]]:
    """All, the troubles, and each result, with their counts."""
    labels = [("", "All", progress.done), ("trouble", "Held and failed", progress.troubled)]
    labels += [(each.value, str(each.label), progress.counts[each]) for each in (Result.FAILED, Result.HELD)]
    labels += [(each.value, str(each.label), progress.counts[each]) for each in (Result.DRAFTED, Result.UNCHANGED)]
    return [
        {"name": name, "count": quantity_text(count), "current": key == show, "url": "?" + urlencode({"show": key})}
        for key, name, count in labels
    ]


def _table(run: BillingRun, show: str, asked: Mapping[str, str]) -> dict[str, Any]:
    """A page of outcomes, each customer named once."""
    text, code = asked.get("q", "").strip(), asked.get("code", "")
    found = queries.outcomes_of(run, result=show, code=code, text=text)
    page = Paginator(found, SHOWN).get_page(asked.get("page"))
    holds = {(each.contract_id, each.code): each for each in open_holds([each.contract_id for each in page])}
    rows, before = [], None
    for outcome in page:
        row = _row(outcome, holds.get((outcome.contract_id, outcome.code)))
        row["again"], before = outcome.customer_id == before, outcome.customer_id
        rows.append(row)
    codes = [(key, LABELS.get(key, key), quantity_text(n)) for key, n in queries.codes_of(run)]
    return {
        "rows": rows, "page": page, "show": show, "q": text, "code": code, "codes": codes,
        "query": urlencode({"show": show, "q": text, "code": code}),
    }  # fmt: skip


def _row(outcome: RunOutcome, hold: Hold | None) -> dict[str, Any]:
    return {
        "customer": link_to(outcome.customer), "contract": link_to(outcome.contract),
        "result": badge(outcome.get_result_display(), RESULT_BADGES),
        "kind": LABELS.get(outcome.code, ""), "reason": outcome.reason,
        "amount": amount_text(outcome.amount, outcome.currency),
        "invoice": outcome.invoice and link_to(outcome.invoice),
        "hold_url": change_url(hold) if hold else "", "releasable": hold is not None and hold.releasable,
    }  # fmt: skip
