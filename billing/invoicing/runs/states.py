"""The states of a run and of its chunks, read by services, pages and triggers alike."""

from django.db.models import TextChoices


class RunState(TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    PROBLEMS = "problems", "Done with problems"
    CANCELLED = "cancelled", "Cancelled"


RUN_MOVES: list[tuple[str, str]] = [
    (RunState.QUEUED, RunState.RUNNING),
    (RunState.QUEUED, RunState.DONE),
    (RunState.QUEUED, RunState.CANCELLED),
    (RunState.RUNNING, RunState.DONE),
    (RunState.RUNNING, RunState.PROBLEMS),
    (RunState.RUNNING, RunState.CANCELLED),
]
WORKING: list[str] = [RunState.QUEUED, RunState.RUNNING]


class ChunkState(TextChoices):
    """Open until its transaction commits: what was begun and not committed never happened."""

    OPEN = "open", "Open"
    DONE = "done", "Done"
    DIVIDED = "divided", "Divided"
    CANCELLED = "cancelled", "Cancelled"


CHUNK_MOVES: list[tuple[str, str]] = [(ChunkState.OPEN, state) for state in ChunkState.values if state != "open"]
