"""Documents drawn by the worker: asked for with the issue, tried again until they are there.

That an invoice waits is a row written in the transaction that gives it its number, so a crash between the two loses
nothing. The row goes in the transaction that records the document.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from billing.invoicing.documents import document_of
from billing.invoicing.drawing.models import WaitingDocument
from billing.invoicing.models import Invoice

LEASE: Final = timedelta(minutes=10)
"""How long one worker has a document for itself; whoever died over it is followed then."""
LONGEST: Final = timedelta(hours=12)
"""The longest pause between two attempts."""


def want(*, invoice_ids: Iterable[int], now: datetime) -> None:
    """Note that these invoices need a document; call it in the transaction that issues them."""
    WaitingDocument.objects.bulk_create(
        [WaitingDocument(invoice_id=each, asked_at=now, next_try_at=now) for each in invoice_ids],
        ignore_conflicts=True,
    )


def draw_waiting(*, clock: Callable[[], datetime], time_is_up: Callable[[], bool] = lambda: False) -> tuple[int, int]:
    """Draw what waits, one after the other, until nothing is due or time is up: how many are drawn, how many failed.

    Several workers share the work. A document that cannot be drawn keeps the reason and is tried again after 1, 2, 4, …
    minutes, every twelve hours at last. Run it outside a transaction.
    """
    drawn = failed = 0
    while not time_is_up() and (waiting := _take(clock())):
        try:
            document_of(invoice=Invoice.objects.select_related("entity", "customer").get(pk=waiting.invoice_id),
                        now=clock())  # fmt: skip
        except Exception as error:  # whatever it is, the others go on, and the page of the invoice says it
            failed += 1
            _note(waiting, error, clock())
        else:
            drawn += 1
            WaitingDocument.objects.filter(pk=waiting.pk).delete()  # the document was there already
    return drawn, failed


def _take(now: datetime) -> WaitingDocument | None:
    """The next that is due, with a lease; None where there is none that nobody else has."""
    with transaction.atomic():
        due = WaitingDocument.objects.filter(next_try_at__lte=now).select_for_update(skip_locked=True)
        waiting = due.order_by("next_try_at", "id").first()
        if waiting is None:
            return None
        waiting.attempts += 1
        waiting.next_try_at = now + LEASE
        waiting.save(update_fields=["attempts", "next_try_at"])
    return waiting


def _note(waiting: WaitingDocument, error: Exception, now: datetime) -> None:
    """Keep why it failed, and when it is tried again."""
    pause = min(timedelta(minutes=2 ** min(waiting.attempts - 1, 10)), LONGEST)
    WaitingDocument.objects.filter(pk=waiting.pk).update(
        error=f"{type(error).__name__}: {error}".rstrip(".") + ".", next_try_at=now + pause
    )
