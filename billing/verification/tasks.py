"""Background work of verification."""

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.mail import send_mail

from billing.verification import services
from billing.verification.models import Verification
from config import clock


def verify_all(user_id: int | None = None) -> int:
    """Verify every issued invoice, and tell by mail when one is not what its facts come to; how many are not."""
    user = get_user_model().objects.filter(pk=user_id).first() if user_id else None
    run = services.verify_all(now=clock.now(), user=user)
    if run.different and settings.VERIFICATION_EMAILS:
        send_mail(
            f"Meterbook: {_count(run)} not what its facts come to", _text(run), None, settings.VERIFICATION_EMAILS
        )
    return run.different


def _count(run: Verification) -> str:
    return "1 invoice is" if run.different == 1 else f"{run.different:,} invoices are"


def _text(run: Verification) -> str:
    """The first twenty differences, a line each."""
    lines = [str(each) for each in run.differences.select_related("invoice")[:20]]
    more = [f"… and {run.different - 20:,} more."] if run.different > 20 else []
    return "\n".join([*lines, *more, "", f"They stand in the admin under {run}."]) + "\n"
