"""The states of a bulk action and of each invoice in it."""

from django.db.models import TextChoices


class Verb(TextChoices):
    """The moves that a bulk action is made of, in the order in which an invoice makes them."""

    APPROVE = "approve", "Approve"
    ISSUE = "issue", "Issue"
    SEND = "send", "Send"


class BulkState(TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    CANCELLED = "cancelled", "Cancelled"


BULK_MOVES: list[tuple[str, str]] = [
    (BulkState.QUEUED, BulkState.RUNNING),
    (BulkState.QUEUED, BulkState.CANCELLED),
    (BulkState.RUNNING, BulkState.DONE),
    (BulkState.RUNNING, BulkState.CANCELLED),
]
WORKING: list[str] = [BulkState.QUEUED, BulkState.RUNNING]


class ItemState(TextChoices):
    """Waiting until the transaction that moved the invoice commits: what was begun and not committed never happened."""

    WAITING = "waiting", "Waiting"
    DONE = "done", "Done"
    SKIPPED = "skipped", "Skipped"


ITEM_MOVES: list[tuple[str, str]] = [(ItemState.WAITING, ItemState.DONE), (ItemState.WAITING, ItemState.SKIPPED)]
