"""Reads of bulk actions."""

from django.db.models import Count

from billing.invoicing.bulk.models import BulkAction
from billing.invoicing.bulk.states import ItemState, Verb


def progress_of(action: BulkAction) -> dict[str, int]:
    """How many of its invoices wait, are done, were skipped; one query."""
    found = dict(action.items.values_list("state").annotate(n=Count("pk")).order_by())
    return {state: found.get(state, 0) for state in ItemState.values}


def in_words(action: BulkAction) -> str:
    """“Approve and issue, no. 12”."""
    verbs = " and ".join(str(Verb(each).label).lower() for each in action.verbs)
    return f"{verbs.capitalize()}, no. {action.pk}"
