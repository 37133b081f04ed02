"""Background work of the books, queued by billing by dotted name once a document is committed."""

from config import clock
from revenue.ledger import services


def post_documents() -> int:
    """Post the documents that billing left in the outbox; returns how many were taken."""
    return services.post_documents(now=clock.now())
