"""The page of ingest: what arrives, what waits, what is refused, and what it takes up."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse

from billing.charts import bars
from billing.metering.health import queries
from config import clock
from customers.backoffice import quantity_text

REFRESH: Final = 15
"""Seconds after which the page looks again."""

BEHIND: Final = 60
"""Seconds of lag from which something is wrong: rollups take a second or two while anything runs them."""


def ingest_health(request: HttpRequest, model_admin: Any) -> HttpResponse:
    """How ingest is doing, in the last hour and the last day."""
    if not request.user.has_perm("billing.view_eventbatch"):
        raise PermissionDenied
    now = clock.now().astimezone(UTC)
    rates, lag = queries.rates(now), queries.lag()
    refused = queries.rejects(now)
    for key, events in queries.rejects_by_key(now).items():
        rates.by_key.setdefault(key, queries.KeyUse("no key, or a wrong one")).rejects = events
    waiting = int((now - lag.oldest).total_seconds()) if lag.oldest else 0
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Ingest health",
        "now": now,
        "refresh": None if request.GET.get("refresh") == "off" else REFRESH,
        "minutes": _chart(rates.by_minute, now, timedelta(minutes=1), 60, "%H:%M"),
        "hours": _chart(rates.by_hour, now, timedelta(hours=1), 24, "%d %b %H:00"),
        "hour_total": quantity_text(sum(rates.by_minute.values())),
        "day_total": quantity_text(sum(rates.by_hour.values())),
        "lag": {
            "batches": quantity_text(lag.batches),
            "events": quantity_text(lag.events),
            "seconds": quantity_text(waiting),
            "behind": waiting > BEHIND,
        },
        "refused": [
            {"code": each.code, "events": quantity_text(each.events), "last": each.last, "message": each.message}
            for each in refused
        ],
        "refused_total": quantity_text(sum(each.events for each in refused)),
        "conflicts": quantity_text(queries.conflicts(now)),
        "keys": [
            {"use": use, "events": quantity_text(use.events), "rejects": quantity_text(use.rejects)}
            for use in rates.by_key.values()
            if not use.revoked or use.events or use.rejects
        ],
        "storage": [(name, filesizeformat(size)) for name, size in queries.storage()],
    }
    return TemplateResponse(request, "billing/admin/ingest_health.html", context)


def _chart(counts: dict[datetime, int], now: datetime, step: timedelta, steps: int, form: str) -> dict[str, Any]:
    """A bar for each step up to now, and the rows of those in which events came, the latest first."""
    first = now.replace(second=0, microsecond=0, **({"minute": 0} if step == queries.HOUR else {}))
    times = [first - step * place for place in range(steps - 1, -1, -1)]
    return {
        "chart": bars([f"{time:{form}}" for time in times], {"events": [counts.get(time, 0) for time in times]}),
        "rows": [(time, quantity_text(counts[time])) for time in reversed(times) if counts.get(time)],
    }
