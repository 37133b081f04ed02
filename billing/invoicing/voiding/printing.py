"""Why a document was made, as it prints that: what a credit was given for, which invoice a reversal cancels and why."""

from collections.abc import Callable, Iterable

from billing.invoicing.concessions.queries import credits_of
from billing.invoicing.formatting import Format, breakable
from billing.invoicing.models import Invoice, InvoiceLine


def printed_reasons(
    invoice: Invoice, lines: Iterable[InvoiceLine], write: Format, say: Callable[..., str]
) -> list[str]:  # fmt: skip
    """Sentences in the customer's language, each reason once; one query where credits were conceded, else none."""
    voided = invoice.reverses
    if voided is not None:
        day = write.day(voided.issue_date) if voided.issue_date else ""
        told = [say("cancels", invoice=voided.number, day=day), say("reason", reason=invoice.reversal_reason)]
        return [breakable(each) for each in told]
    reasons = dict.fromkeys(each.reason for each in credits_of(line.terms for line in lines))
    return [breakable(say("reason", reason=each)) for each in reasons]
