"""The states of a trial's run and of an experiment: services, buttons and triggers read these tables."""

from django.db.models import TextChoices


class RunState(TextChoices):
    """How far a run of a trial is."""

    QUEUED = "queued", "Waiting"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    CANCELLED = "cancelled", "Cancelled"
    FAILED = "failed", "Failed"


RUN_MOVES: list[tuple[str, str]] = [
    (RunState.QUEUED, RunState.RUNNING),
    (RunState.QUEUED, RunState.CANCELLED),
    (RunState.QUEUED, RunState.FAILED),
    (RunState.RUNNING, RunState.DONE),
    (RunState.RUNNING, RunState.CANCELLED),
    (RunState.RUNNING, RunState.FAILED),
]
WORKING = (RunState.QUEUED, RunState.RUNNING)


class ExperimentState(TextChoices):
    """Whether an experiment assigns contracts."""

    DRAFT = "draft", "Draft"
    RUNNING = "running", "Running"
    STOPPED = "stopped", "Stopped"


EXPERIMENT_MOVES: list[tuple[str, str]] = [
    (ExperimentState.DRAFT, ExperimentState.RUNNING),
    (ExperimentState.RUNNING, ExperimentState.STOPPED),
]
