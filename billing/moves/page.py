"""What the pages of a move print, put together from queries."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

from django.core.paginator import Paginator

from billing.moves import queries
from billing.moves.choosing import version_names
from billing.moves.criteria import Criteria, in_words
from billing.moves.judging import REASONS
from billing.moves.models import Move, MovedSubscription
from billing.moves.queries import BANDS, Summary
from billing.moves.states import MoveState, Outcome, Work
from billing.periods import local_date
from customers.backoffice import NONE, amount_text, change_url, quantity_text
from customers.models import LegalEntity

SHOWN: Final = 50
SORT_NAMES: Final = {
    "change": "Largest changes", "up": "Largest increases", "down": "Largest decreases",
    "percent": "Largest in per cent", "before": "Largest today", "customer": "Customer", "day": "Day",
}  # fmt: skip


def context_of(move: Move, asked: Mapping[str, str], now: datetime) -> dict[str, Any]:
    """The page of a move: `asked` has what is shown, how it is sorted, and the page number."""
    counts = queries.counts(move)
    by_outcome = {each: sum(n for (outcome, _), n in counts.items() if outcome == each) for each in Outcome.values}
    settled = not move.work
    context: dict[str, Any] = {
        "move": move, "choice": _choice(move), "working": bool(move.work) and not move.failure,
        "percent": f"{100 * move.done / move.total:.0f}" if move.total else "0",
        "work_name": Work(move.work).label, "tabs": _tabs(by_outcome, asked),
        "left_out": [(REASONS[code], quantity_text(n)) for (_, code), n in sorted(counts.items()) if code],
        "can_schedule": settled and move.state == MoveState.DRAFT and by_outcome[Outcome.PLANNED],
        "can_cancel": move.state == MoveState.SCHEDULED and move.work != Work.CANCEL and queries_ahead(move, now),
        "is_draft": move.state == MoveState.DRAFT, "planned": quantity_text(by_outcome[Outcome.PLANNED]),
        "in_past": move.first_at is None and _planned_past(move, now),
    }  # fmt: skip
    if settled or move.state != MoveState.DRAFT:
        context |= {
            "summaries": [_summary(each) for each in queries.summaries(move)],
            "changes": queries.price_changes(move), "table": _table(move, by_outcome, asked, now),
        }  # fmt: skip
    return context


def queries_ahead(move: Move, now: datetime) -> bool:
    """Whether something of a scheduled move can still be taken back."""
    return bool(move.work) or (move.last_at is not None and move.last_at > now)


def row_context(move: Move, row: MovedSubscription, now: datetime) -> dict[str, Any]:
    """The page of one customer in a move."""
    terms, problem = queries.terms_of(row) if row.from_version and row.at else ([], "")
    return {
        "move": move, "row": row, "contract": row.subscription.contract, "line": _row(row, now), "terms": terms,
        "terms_problem": problem, "cycles": _effects(row, "cycles", "start"),
        "charges": _effects(row, "charges", "name"),
        "can_cancel": row.outcome == Outcome.SCHEDULED and row.at is not None and row.at > now and not move.work,
        "contract_url": change_url(row.subscription.contract),
    }  # fmt: skip


def _choice(move: Move) -> list[tuple[str, str]]:
    criteria = Criteria.from_json(move.choice)
    names = version_names(criteria.versions)
    entity = LegalEntity.objects.filter(pk=criteria.entity).first() if criteria.entity else None
    return in_words(criteria, [names[each] for each in criteria.versions if each in names], str(entity or ""))


def _planned_past(move: Move, now: datetime) -> bool:
    return move.state == MoveState.DRAFT and move.rows.filter(outcome=Outcome.PLANNED, at__lte=now).exists()


def _tabs(by_outcome: Mapping[str, int], asked: Mapping[str, str]) -> list[dict[str, Any]]:
    """A tab an outcome that somebody has."""
    there = [each for each in Outcome.values if by_outcome[each]]
    at = asked.get("show") if asked.get("show") in there else (there[0] if there else "")
    return [
        {"name": Outcome(each).label, "count": quantity_text(by_outcome[each]), "url": f"?show={each}", "key": each,
         "current": each == at}
        for each in there
    ]  # fmt: skip


def _table(move: Move, by_outcome: Mapping[str, int], asked: Mapping[str, str], now: datetime) -> dict[str, Any]:
    """The rows of one outcome, 50 a page."""
    tab = next((each for each in _tabs(by_outcome, asked) if each["current"]), None)
    sort = asked.get("sort", "") if asked.get("sort") in queries.SORTS else "change"
    given = {"outcome": tab["key"] if tab else "", "currency": asked.get("currency", ""), "text": asked.get("q", "")}
    keys = queries.rows_of(move, sort=sort, **given).values_list("pk", flat=True)  # sorting wide rows takes long
    page = Paginator(keys, SHOWN).get_page(asked.get("page"))
    found = queries.rows_of(move).in_bulk(list(page.object_list))
    kept = {"show": given["outcome"], "currency": given["currency"], "q": given["text"], "sort": sort}
    return {
        "rows": [_row(found[key], now) for key in page.object_list if key in found], "page": page,
        "sort": sort, "sorts": SORT_NAMES,
        "q": given["text"], "currency": given["currency"], "show": given["outcome"],
        "query": urlencode({name: value for name, value in kept.items() if value}),
        "figures": given["outcome"] != Outcome.LEFT_OUT,
    }  # fmt: skip


def _row(row: MovedSubscription, now: datetime) -> dict[str, Any]:
    contract = row.subscription.contract
    return {
        "pk": row.pk, "customer": contract.customer, "subscription": row.subscription, "note": row.note,
        "from": row.from_version or NONE, "day": local_date(row.at, contract.timezone) if row.at else NONE,
        "before": amount_text(row.before, row.currency), "after": amount_text(row.after, row.currency),
        "change": _signed(row.change, row.currency), "percent": _percent(row.percent), "problem": row.problem,
        "more": row.change is not None and row.change > 0, "less": row.change is not None and row.change < 0,
        "outcome": row.get_outcome_display(), "own_terms": row.own_terms,
        "in_effect": row.outcome == Outcome.SCHEDULED and row.at is not None and row.at <= now,
    }  # fmt: skip


def _summary(found: Summary) -> dict[str, Any]:
    most = max([*found.bands, 1])
    return {
        "currency": found.currency, "customers": quantity_text(found.customers),
        "before": amount_text(found.before, found.currency), "after": amount_text(found.after, found.currency),
        "change": _signed(found.change, found.currency), "percent": _percent(found.percent), "new": found.new,
        "untold": found.untold,
        "bands": [
            {"name": name, "count": quantity_text(n), "width": 100 * n // most, "more": high is None or high > 0,
             "less": low is None or low < 0}
            for (name, low, high), n in zip(BANDS, found.bands, strict=True)
        ],
    }  # fmt: skip


def _effects(row: MovedSubscription, part: str, key: str) -> list[dict[str, str]]:
    found = []
    for each in row.effect.get(part, []):
        before, after = Decimal(each["before"]), Decimal(each["after"])
        found.append({
            "name": each[key], "before": amount_text(before, row.currency), "after": amount_text(after, row.currency),
            "change": _signed(after - before, row.currency),
        })  # fmt: skip
    return found


def _signed(amount: Decimal | None, currency: str) -> str:
    """With a plus where it is more."""
    text = amount_text(amount, currency)
    return text.replace(" ", " +", 1) if amount is not None and amount > 0 else text


def _percent(value: Decimal | None) -> str:
    if value is None:
        return NONE
    return f"{'+' if value > 0 else ''}{value:,.2f} %".replace("-", "−")
