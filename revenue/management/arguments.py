"""What the commands of the books read from their command line."""

import re
from argparse import ArgumentTypeError
from datetime import date

from django.core.management.base import CommandError

from customers.models import LegalEntity


def month_of(text: str) -> date:
    """The first day of a month written as 2023-11; a day of it, 2023-11-30, will do."""
    match = re.fullmatch(r"(\d{4})-(\d{2})(?:-\d{2})?", text)
    try:
        return date(int(match[1]), int(match[2]), 1) if match else date.fromisoformat(text).replace(day=1)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no month; write it as 2023-11") from None


def entity_of(code: str) -> LegalEntity:
    """The legal entity of that code; CommandError naming those that exist."""
    entity = LegalEntity.objects.filter(code=code).first()
    if entity is None:
        codes = ", ".join(LegalEntity.objects.values_list("code", flat=True)) or "none yet"
        raise CommandError(f"There is no legal entity {code}. There are: {codes}.")
    return entity
