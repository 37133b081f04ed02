"""Whether an event passes a filter, told from its dimensions alone, as rollups keep them.

Dimensions are texts: 1.0, 1 and "1" are all `1` there. So not every filter can be told from them. Pure: no Django, no
database, no clock.
"""

from collections.abc import Sequence

from billing.metering.filters import Compare, Condition, Exists, Filter, OneOf, matches
from billing.metering.properties import number_of


def told_by(filters: Sequence[Filter], dimensions: Sequence[str]) -> bool:
    """Whether the values of these dimensions say of every event whether it passes the filters."""
    return all(
        name_of(filter_) in dimensions and all(_told(condition) for condition in filter_.conditions)
        for filter_ in filters
    )


def name_of(filter_: Filter) -> str:
    """The property that a filter is about, as a meter names its dimensions."""
    return ".".join(filter_.names)


def passes(filters: Sequence[Filter], dimensions: Sequence[str], values: Sequence[str | None]) -> bool:
    """Whether events with these values pass the filters, which the dimensions tell."""
    named = dict(zip(dimensions, values, strict=True))
    return all(
        matches(Filter(("value",), filter_.conditions), {"value": named[name_of(filter_)]}) for filter_ in filters
    )


def _told(condition: Condition) -> bool:
    """Whether texts tell a condition: a bound does, since texts that are numbers are numbers; so does a word."""
    match condition:
        case OneOf(options):
            return all(isinstance(option, str) and _is_word(option) for option in options)
        case Compare():
            return True
        case Exists():
            return False  # what is no single value has no text either


def _is_word(text: str) -> bool:
    """Whether nothing but this text is written so."""
    return number_of(text) is None and text not in ("true", "false")
