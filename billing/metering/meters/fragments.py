"""Pieces of SQL with the values of their placeholders. Values always travel as parameters, never as text."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of SQL over the event `e`, and the values of its placeholders, in order."""

    sql: str
    values: tuple[Any, ...] = ()


def join(template: str, *pieces: Fragment) -> Fragment:
    """The template with a piece at each of its `{}`; a piece given twice brings its values twice."""
    return Fragment(
        template.format(*(piece.sql for piece in pieces)), tuple(value for piece in pieces for value in piece.values)
    )
