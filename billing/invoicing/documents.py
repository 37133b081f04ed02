"""The document of an invoice: drawn once from its copies at issue, stored, and the same for ever after."""

import hashlib
from datetime import datetime
from io import BytesIO

from django.core.files import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.template.loader import render_to_string
from django.utils.text import get_valid_filename

from billing.invoicing.behind.models import PrintedUsage
from billing.invoicing.behind.printed import Printed, printed_usage
from billing.invoicing.document_context import printed_invoice
from billing.invoicing.drawing.models import WaitingDocument
from billing.invoicing.errors import DocumentDamaged, NotIssued
from billing.invoicing.models import Invoice, InvoiceDocument
from billing.invoicing.rendering import Rendered, render_html
from billing.invoicing.states import NUMBERED
from customers.locks import lock_name


def render_pdf(invoice: Invoice) -> Rendered:
    """Draw an invoice: an issued one from its copies at issue (R5.8), any other from live data, marked DRAFT.

    GlyphsMissing when a name has characters that the font lacks.
    """
    return _render(invoice, _usage(invoice))


def preview_pdf(invoice: Invoice) -> bytes:
    """The PDF of an invoice in whatever state, stored nowhere; what is not issued bears the mark DRAFT."""
    return render_pdf(invoice).bytes


def document_of(*, invoice: Invoice, now: datetime) -> InvoiceDocument:
    """The document of an issued invoice: drawn and stored at the first call, the same at every other.

    Two calls at once end in one document; the loser removes its file. A file that got lost is drawn again when that
    gives the same bytes. Run it outside a larger transaction: a rollback would leave a file without a row.
    Raises NotIssued, GlyphsMissing, DocumentDamaged.
    """
    if invoice.state not in NUMBERED:
        raise NotIssued(invoice)
    document = InvoiceDocument.objects.filter(invoice=invoice).first()
    if document is None:
        usage = _usage(invoice)
        return _store(invoice, _render(invoice, usage), usage, now)
    if not default_storage.exists(str(document.file)):
        _restore(document)
    return document


def read_document(document: InvoiceDocument) -> bytes:
    """The stored file, known by its digest to be what was rendered; one that is not raises DocumentDamaged."""
    if not default_storage.exists(str(document.file)):
        _restore(document)
    with document.file.open("rb") as file:
        content: bytes = file.read()
    if hashlib.sha256(content).hexdigest() != document.sha256:
        raise DocumentDamaged(document.invoice, str(document.file))
    return content


def _usage(invoice: Invoice) -> Printed:
    """The usage that the document shows: as it was printed first, else as it was known when the lines were made."""
    kept = PrintedUsage.objects.filter(invoice=invoice).first()
    return kept.content if kept else printed_usage(invoice)


def _render(invoice: Invoice, usage: Printed) -> Rendered:
    return render_html(render_to_string("billing/invoice.html", {"invoice": printed_invoice(invoice, usage)}))


def _store(invoice: Invoice, rendered: Rendered, usage: Printed, now: datetime) -> InvoiceDocument:
    """Write the file, then its rows; whoever comes second finds them.

    A file of that name without a row is what a full disk or a crash left of an earlier attempt: it goes first.
    """
    wanted = f"invoices/{invoice.issue_date:%Y/%m}/{get_valid_filename(str(invoice.number))}.pdf"
    with transaction.atomic():
        lock_name(wanted)
        if there := InvoiceDocument.objects.filter(invoice=invoice).first():
            return there
        # A row for that name is another seller's, with the same number.
        if default_storage.exists(wanted) and not InvoiceDocument.objects.filter(file=wanted).exists():
            default_storage.delete(wanted)
        name = default_storage.save(wanted, File(BytesIO(rendered.bytes)))
        document = InvoiceDocument.objects.create(
            invoice=invoice, file=name, sha256=rendered.sha256, pages=rendered.pages, rendered_at=now
        )
        PrintedUsage.objects.create(invoice=invoice, content=usage)
        WaitingDocument.objects.filter(invoice=invoice).delete()
        return document


def _restore(document: InvoiceDocument) -> None:
    """Write a lost file again under its own name, if it comes out the same."""
    rendered = render_pdf(document.invoice)
    if rendered.sha256 != document.sha256:
        raise DocumentDamaged(document.invoice, str(document.file))
    name = default_storage.save(str(document.file), File(BytesIO(rendered.bytes)))
    if name != str(document.file):  # another process was faster
        default_storage.delete(name)
