"""Notes follow their document: from the draft at a place to the invoice that it becomes, and back with it."""

from collections.abc import Sequence

from django.db import connection

from billing.invoicing.manual.models import InvoiceNote
from billing.invoicing.models import Invoice


def tie(invoices: Sequence[Invoice]) -> None:
    """Tie the notes that wait at the places of drafts to the invoices that they become; one statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE billing_invoicenote n SET invoice_id = i.id FROM billing_invoice i
               WHERE i.id = ANY(%s::bigint[]) AND n.invoice_id IS NULL AND n.taken_back_at IS NULL
                 AND (n.customer_id, n.entity_id, n.currency, n."group", n.apart)
                   = (i.customer_id, i.entity_id, i.currency, i."group", i.apart)""",
            [[invoice.pk for invoice in invoices]],
        )


def untie(invoice: Invoice) -> None:
    """Let the notes of an invoice that goes back wait at its place again."""
    InvoiceNote.objects.filter(invoice=invoice, taken_back_at=None).update(invoice=None)
