"""Recognising API keys: remembered by each process for two seconds, so that a request needs no query.

Whoever revokes a key is therefore obeyed by every process within two seconds, and at once by the own one.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Final, Protocol, TypeVar

from billing.metering import keys
from billing.metering.access import uses
from billing.metering.errors import Refusal
from billing.metering.models import ApiKey

REMEMBERED_NS: Final = 2_000_000_000
"""How long a process believes what it read of a key, in nanoseconds."""

MOST_REMEMBERED: Final = 10_000
"""Keys, and prefixes of none, that a process remembers; beyond that it forgets all and begins again."""

_Answer = TypeVar("_Answer")


class Ask(Protocol):
    """Runs a function that queries, on a connection that the caller chooses, and gives what it returns or raises."""

    def __call__(self, query: Callable[[], _Answer], /) -> _Answer: ...


def at_once(query: Callable[[], _Answer]) -> _Answer:
    """Ask on the connection of this thread."""
    return query()


@dataclass(frozen=True, slots=True)
class KnownKey:
    """What a request needs to know of its API key. `rate_limit` is events a second, None for no limit."""

    pk: int
    name: str
    digest: str
    default_source: str
    scopes: frozenset[str]
    rate_limit: int | None
    expires_at: datetime | None
    revoked_at: datetime | None


def authenticate(header: str, scope: str, now: datetime, *, ask: Ask = at_once) -> KnownKey:
    """The key that an `Authorization` header carries, when it may do what `scope` names ("ingest", "read").

    `now`, aware, decides whether it has expired. Refusal: 401 `unauthorized` for a header without a key that exists,
    401 `key_revoked` and `key_expired`, each counted on the key before it is answered, and 403 `insufficient_scope`.
    OperationalError when the key is not remembered and the database is away.
    """
    scheme, _, secret = header.partition(" ")
    secret = secret.strip()
    prefix = keys.prefix_of(secret) if scheme.lower() == "bearer" else None
    key = _find(prefix, ask) if prefix else None
    if key is None or not keys.matches(secret, key.digest):
        detail = "Send a valid API key: “Authorization: Bearer mb_…”. Keys are made, and revoked, in the admin."
        raise Refusal(401, "unauthorized", detail, WWW_Authenticate="Bearer")
    state = keys.state_of(revoked_at=key.revoked_at, expires_at=key.expires_at, now=now)
    if state != "active":
        uses.refused(key.pk, now, ask)
        detail = f"The API key “{key.name}” was {_ENDED[state]}; make another in the admin and send with that."
        raise Refusal(401, f"key_{state}", detail, WWW_Authenticate="Bearer")
    if scope not in key.scopes:
        able = " and ".join(sorted(key.scopes))
        detail = f"The API key “{key.name}” may {able}, not {scope}; use a key with the scope {scope}."
        raise Refusal(403, "insufficient_scope", detail)
    uses.used(key.pk, now, ask)
    return key


def forget() -> None:
    """Read every key anew, in this process: for when one was changed."""
    _remembered.clear()


_ENDED: Final = {"revoked": "revoked", "expired": "used after its end"}
_remembered: dict[str, tuple[int, KnownKey | None]] = {}
_reading: Final = Lock()  # many requests at once read a key once


def _find(prefix: str, ask: Ask) -> KnownKey | None:
    """The key with this prefix, as remembered or read anew."""
    entry = _fresh(prefix)
    if entry is None:
        with _reading:
            entry = _fresh(prefix)
            if entry is None:
                begun = time.monotonic_ns()
                entry = begun, ask(lambda: _read(prefix))
                if len(_remembered) >= MOST_REMEMBERED:
                    _remembered.clear()
                _remembered[prefix] = entry
    return entry[1]


def _fresh(prefix: str) -> tuple[int, KnownKey | None] | None:
    """What is remembered of a prefix, unless it was read too long ago."""
    entry = _remembered.get(prefix)
    return entry if entry is not None and time.monotonic_ns() - entry[0] < REMEMBERED_NS else None


def _read(prefix: str) -> KnownKey | None:
    """The key as it stands in the database."""
    key = ApiKey.objects.filter(prefix=prefix).first()
    if key is None:
        return None
    return KnownKey(
        key.pk,
        key.name,
        key.digest,
        key.default_source,
        frozenset(key.scopes),
        key.rate_limit,
        key.expires_at,
        key.revoked_at,
    )
