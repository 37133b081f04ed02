"""The posting position that a report stands at: ties hold there, and every report prints it."""

from django.db.models import Max

from revenue.ledger.models import Posting


def posting_position() -> int:
    """The number of the last document that the books have taken; 0 before the first."""
    return Posting.objects.aggregate(last=Max("position"))["last"] or 0
