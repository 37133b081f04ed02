"""Which variant of an experiment a contract gets: decided by a hash, so that it is stable and can be rebuilt.

Pure: no Django, no clock.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

WHOLE: Final = 10_000
"""All contracts, in basis points: 1 is one in ten thousand."""


def bucket(experiment: str, contract: str) -> int:
    """A contract's place in an experiment, 0 to 9,999: SHA-256 of “experiment/contract”, its first 8 bytes as a
    number, modulo 10,000. Another experiment shuffles anew."""
    digest = sha256(f"{experiment}/{contract}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % WHOLE


def chosen(place: int, shares: Sequence[int]) -> int:
    """Which of the shares, in order, a bucket falls into. ValueError unless the shares add up to the whole."""
    if sum(shares) != WHOLE or min(shares) < 0:
        raise ValueError(f"The shares add up to {sum(shares)}, not to {WHOLE}.")
    for number, share in enumerate(shares):
        if place < share:
            return number
        place -= share
    raise ValueError(f"{place} is no bucket: they are 0 to {WHOLE - 1}.")
