"""Background work of documents: queued with every issue, and every minute for what failed or was left."""

import time

from billing.invoicing.background import enqueue
from billing.invoicing.drawing.services import draw_waiting
from config import clock

SLICE = 420
"""Seconds that one task draws, below the time limit of the worker; what is left is another task."""


def draw() -> str:
    """Draw the documents that wait; what came of it, in words."""
    end = time.monotonic() + SLICE
    drawn, failed = draw_waiting(clock=clock.now, time_is_up=lambda: time.monotonic() > end)
    if time.monotonic() > end:
        enqueue(f"{__name__}.draw")
    return f"{drawn} documents drawn, {failed} to be tried again"
