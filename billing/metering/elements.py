"""The elements of a JSON list, found one by one, so that a bad one does not take the others with it.

Pure: no Django, no database, no clock.
"""

import json
import re
from collections.abc import Iterator
from typing import Final

from billing.metering.errors import UnreadableBody

_NESTING: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.S)
_scanner: Final = json.JSONDecoder(parse_int=str, parse_float=str)  # only ends are looked for, of any number


def elements(text: str) -> Iterator[str]:
    """The JSON text of each element of a list; UnreadableBody when the list itself cannot be followed."""
    space = re.compile(r"[ \t\r\n]*")
    if text[:1] != "[":
        raise UnreadableBody(
            "not_events", "The body is neither a JSON object nor a list of them; send one event or a list."
        )
    found: list[str] = []
    at = space.match(text, 1).end()  # type: ignore[union-attr]  # it matches nothing, too
    try:
        while text[at] != "]" or found:
            end = _end(text, at)
            found.append(text[at:end])
            at = space.match(text, end).end()  # type: ignore[union-attr]
            if text[at] == "]":
                break
            if text[at] != ",":
                raise ValueError
            at = space.match(text, at + 1).end()  # type: ignore[union-attr]
        if at + 1 != len(text):
            raise ValueError
    except (ValueError, IndexError, RecursionError):
        raise UnreadableBody(
            "invalid_json", f"The body is no JSON from character {at + 1:,} on; check how it was made."
        ) from None
    return iter(found)


def _end(text: str, at: int) -> int:
    """Where the JSON value ends that begins at `at`; ValueError when it is none."""
    try:
        return _scanner.raw_decode(text, at)[1]
    except RecursionError:  # too deep to be read, yet its end can be found, so that it sinks no other event
        depth = 0
        for match in _NESTING.finditer(text, at):
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
            if depth == 0:
                return match.end()
        raise ValueError from None
