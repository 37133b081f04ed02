"""Verbs of a version's life after it was drafted: publish it at a time chosen in advance, take that back, retire it."""

from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from billing.catalog.errors import CatalogError, NeedsReason
from billing.catalog.models import PlanVersion
from billing.catalog.services import check, publish
from billing.catalog.states import VersionState, can_move

_SCHEDULE = ("publish_at", "publish_zone", "scheduled_by", "warnings", "reason", "problem")


def schedule(
    *, version: PlanVersion, at: datetime, zone: str, user: AbstractBaseUser | None, now: datetime, reason: str = ""
) -> PlanVersion:
    """Let a draft be published by itself at an instant; `zone` is the one in which the time was chosen, to show it in.

    Checked as if it were published now; checked again when it is due, also for what was edited in between. Another
    time takes the place of the one before. NeedsReason and CatalogError as in `publish`.
    """
    with transaction.atomic():
        version = _locked(version)
        if at <= now:
            raise CatalogError("The time lies in the past: choose one that is still to come, or publish it now.")
        warnings = check(version=version, now=now)
        if warnings and not reason.strip():
            raise NeedsReason(version, warnings)
        version.publish_at, version.publish_zone, version.scheduled_by = at, zone, user  # type: ignore[assignment]
        version.warnings, version.reason, version.problem = warnings, reason.strip() if warnings else "", ""
        version.save(update_fields=_SCHEDULE)
    return version


def cancel(*, version: PlanVersion) -> PlanVersion:
    """Take back a planned publication: the version stays a draft. CatalogError when none is planned."""
    with transaction.atomic():
        version = _locked(version)
        if version.state != VersionState.DRAFT or version.publish_at is None:
            raise CatalogError(f"{version} is not waiting to be published: there is nothing to cancel.")
        version.publish_at, version.publish_zone, version.scheduled_by = None, "", None
        version.warnings, version.reason, version.problem = [], "", ""
        version.save(update_fields=_SCHEDULE)
    return version


def publish_due(*, now: datetime) -> list[PlanVersion]:
    """Publish the drafts whose time has come; those that were published.

    One that may not be published, or about which there is a warning that nobody confirmed, stays a draft, says why
    (`problem`), and waits for somebody to schedule or publish it again.
    """
    due = PlanVersion.objects.filter(state=VersionState.DRAFT, publish_at__lte=now).order_by("publish_at", "id")
    done = []
    for version_id in due.values_list("id", flat=True):
        with transaction.atomic():
            waiting = due.filter(id=version_id).select_for_update(skip_locked=True, of=("self",))
            version = waiting.select_related("plan__product", "scheduled_by").first()
            if version is not None and _published(version, now):
                done.append(version)
    return done


def _published(version: PlanVersion, now: datetime) -> bool:
    """Whether a version that is due was published; else it says why not."""
    assert version.publish_at is not None
    try:
        fresh = [each for each in check(version=version, now=now) if each not in version.warnings]
        if fresh:
            raise NeedsReason(version, fresh)
        publish(version=version, user=version.scheduled_by, now=now, reason=version.reason)
    except CatalogError as error:
        version.problem = f"It was not published when it was due, {version.planned}: {error}"
        version.publish_at = None
        version.save(update_fields=["publish_at", "problem"])
        return False
    return True


def retire(*, version: PlanVersion, user: AbstractBaseUser | None, now: datetime) -> PlanVersion:
    """Offer a published version to nobody any more; who is subscribed to it stays, and may change the quantity."""
    with transaction.atomic():
        version = _locked(version)
        if not can_move(version.state, VersionState.RETIRED):
            raise CatalogError(f"{version} is {version.get_state_display().lower()}: only a published one is retired.")
        version.state, version.retired_at = VersionState.RETIRED, now
        version.retired_by = user  # type: ignore[assignment]
        version.save(update_fields=["state", "retired_at", "retired_by"])
    return version


def _locked(version: PlanVersion) -> PlanVersion:
    return PlanVersion.objects.select_for_update(of=("self",)).select_related("plan__product").get(id=version.id)
