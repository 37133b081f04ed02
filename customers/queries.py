"""Reads of customers that join or compare."""

from datetime import datetime

from django.db.models import Q, QuerySet

from customers.models import UsageSubject


def claims_on(*, subject: str, valid_from: datetime | None, valid_to: datetime | None) -> QuerySet[UsageSubject]:
    """Claims on a subject that overlap `[valid_from, valid_to)` (aware, None is open), with their customers."""
    overlap = Q(subject=subject)
    if valid_to is not None:
        overlap &= Q(valid_from__isnull=True) | Q(valid_from__lt=valid_to)
    if valid_from is not None:
        overlap &= Q(valid_to__isnull=True) | Q(valid_to__gt=valid_from)
    return UsageSubject.objects.filter(overlap).select_related("customer")
