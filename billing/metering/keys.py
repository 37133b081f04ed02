"""The form of API keys: `mb_<prefix>_<random>`, shown once, kept as a SHA-256 of itself. Pure: no Django."""

import hmac
import secrets
from datetime import datetime
from hashlib import sha256
from typing import Final, Literal

INGEST: Final = "ingest"
READ: Final = "read"
CORRECT: Final = "correct"
BOUNCES: Final = "bounces"
SCOPES: Final = [INGEST, READ, CORRECT, BOUNCES]

_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"  # no letter that reads as another: prefixes are read aloud


def make_secret() -> tuple[str, str]:
    """A new secret and its prefix, by which it is found; 160 random bits beside the prefix."""
    prefix = _random(8)
    return f"mb_{prefix}_{_random(32)}", prefix


def prefix_of(secret: str) -> str | None:
    """The prefix that a secret carries, or None for a text of another form."""
    parts = secret.split("_")
    return parts[1] if len(parts) == 3 and parts[0] == "mb" and len(parts[1]) == 8 and secret.isascii() else None


def digest_of(secret: str) -> str:
    """SHA-256 of a secret in hexadecimal: enough for a secret that is random, and as quick as ingest needs."""
    return sha256(secret.encode()).hexdigest()


def matches(secret: str, digest: str) -> bool:
    """Whether a secret is the one that was hashed, in a time that tells nothing about how much of it is right."""
    return hmac.compare_digest(digest_of(secret), digest)


def state_of(
    *, revoked_at: datetime | None, expires_at: datetime | None, now: datetime
) -> Literal["active", "revoked", "expired"]:
    """Whether a key opens the door at `now`, and if not, why; one that was revoked is not called expired."""
    if revoked_at is not None:
        return "revoked"
    return "active" if expires_at is None or now < expires_at else "expired"


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
