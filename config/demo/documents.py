"""The last invoices as PDF, and on their way to the customers: as files in the outbox, never through a mail server."""

from collections.abc import Iterator

from django.conf import settings
from django.contrib.auth.models import User

from billing.invoicing.delivery.services import send_invoices
from billing.invoicing.documents import document_of
from billing.invoicing.models import Invoice
from config import clock
from config.demo.story import Story

TO_FILES = "django.core.mail.backends.filebased.EmailBackend"


def last_invoices(story: Story) -> list[int]:
    """The issued invoices of the last complete month that have no document yet."""
    issued = Invoice.objects.filter(state="issued", as_of=story.current, document=None)
    return list(issued.order_by("sequence").values_list("id", flat=True))


def draw(story: Story, invoice_ids: list[int]) -> Iterator[int]:
    """Draw each, and mail it where mail goes to files; gives each id when it is done."""
    finance = User.objects.get(username="finance")
    for invoice_id in invoice_ids:
        invoice = Invoice.objects.get(pk=invoice_id)
        assert invoice.issued_at is not None  # it is issued
        with clock.set_to(max(story.at(story.current, 15), invoice.issued_at)):
            if settings.EMAIL_BACKEND == TO_FILES:
                send_invoices(invoice_ids=[invoice_id], user=finance, now=clock.now())
            else:
                document_of(invoice=invoice, now=clock.now())
        yield invoice_id
