"""Background work of alerts: look at every customer once a day, and tell who wants to know."""

from django.conf import settings
from django.core.mail import send_mail

from billing.metering.alerts import services
from billing.metering.alerts.models import UsageAlert
from billing.metering.alerts.wording import line
from config import clock


def evaluate() -> int:
    """Judge the last whole day, and mail what is new to USAGE_ALERT_EMAILS; how many alerts were opened.

    Run it some hours after midnight UTC, when the day's last events have come. Again on the same day does nothing.
    """
    opened = services.evaluate(now=clock.now())
    tell([alert.pk for alert in opened])
    return len(opened)


def tell(alert_ids: list[int]) -> None:
    """Mail alerts to USAGE_ALERT_EMAILS, if it names anybody and there are any."""
    alerts = list(UsageAlert.objects.filter(pk__in=alert_ids).select_related("customer", "meter"))
    if not alerts or not settings.USAGE_ALERT_EMAILS:
        return
    subject = line(alerts[0]) if len(alerts) == 1 else f"{len(alerts)} alerts: usage is not as it was"
    send_mail(subject, "\n".join(map(line, alerts)) + "\n", None, settings.USAGE_ALERT_EMAILS)
