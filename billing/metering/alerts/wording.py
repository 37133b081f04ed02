"""Alerts in words."""

from billing.metering.alerts.models import UsageAlert
from customers.backoffice import quantity_text


def what(alert: UsageAlert) -> str:
    """“0 instead of about 1,200 a day”; empty for a source."""
    if alert.meter is None or alert.expected is None or alert.seen is None:
        return ""
    places = alert.expected.quantize(1) if abs(alert.expected) >= 10 else alert.expected.normalize()
    unit = alert.meter.unit if alert.meter.aggregation in ("sum", "count") else "event"
    return f"{quantity_text(alert.seen)} instead of about {quantity_text(places)} {unit}s a day"


def line(alert: UsageAlert) -> str:
    """One line for a mail: “Usage stopped: Acme, Tokens, since 2024-03-01 (0 instead of about 1,200 tokens a day)”."""
    figures = f" ({what(alert)})" if what(alert) else ""
    return f"{alert}, since {alert.since:%Y-%m-%d}{figures}"
