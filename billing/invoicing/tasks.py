"""Background work of invoicing, by id: each task reads the clock and calls one service."""

from datetime import date

from django.contrib.auth import get_user_model

from billing.invoicing import delivery, documents
from billing.invoicing.models import Invoice
from billing.invoicing.services import run_billing
from config import clock


def render(invoice_id: int) -> None:
    """Draw and store the document of an issued invoice, unless it has one."""
    documents.document_of(invoice=Invoice.objects.get(pk=invoice_id), now=clock.now())


def deliver(delivery_id: int) -> None:
    """Send a delivery, unless it is sent."""
    delivery.deliver(delivery_id=delivery_id, now=clock.now())


def bill(as_of: str, user_id: int | None = None) -> int:
    """Run billing as of a day (YYYY-MM-DD); the run's id."""
    user = get_user_model().objects.filter(pk=user_id).first() if user_id else None
    return run_billing(as_of=date.fromisoformat(as_of), now=clock.now(), user=user).pk
