"""The states of an upload, and which may follow which: services, buttons and pages read this one table."""

from django.db import models


class UploadState(models.TextChoices):
    """How far an uploaded file is."""

    MAPPING = "mapping", "Needs its columns"
    CHECKING = "checking", "Being checked"
    CHECKED = "checked", "To be confirmed"
    IMPORTING = "importing", "Being imported"
    DONE = "done", "Imported"
    FAILED = "failed", "Failed"
    DISCARDED = "discarded", "Discarded"


MOVES: dict[UploadState, tuple[UploadState, ...]] = {
    UploadState.MAPPING: (UploadState.CHECKING, UploadState.DISCARDED),
    UploadState.CHECKING: (UploadState.CHECKED, UploadState.FAILED),
    UploadState.CHECKED: (UploadState.CHECKING, UploadState.IMPORTING, UploadState.DISCARDED),
    UploadState.IMPORTING: (UploadState.DONE, UploadState.FAILED),
    UploadState.DONE: (),
    UploadState.FAILED: (UploadState.CHECKING, UploadState.DISCARDED),
    UploadState.DISCARDED: (),
}
WORKING = (UploadState.CHECKING, UploadState.IMPORTING)


def before(state: UploadState) -> list[UploadState]:
    """The states from which this one may be reached."""
    return [each for each, following in MOVES.items() if state in following]
