"""Rate limits of keys, over any number of processes: one balance a key in the database, taken in small lots.

The balance grows by the limit each second, up to one second's worth. A request is let through while the balance is
above zero, and pays for all its events, so that one request may overdraw it: the following ones wait until it is paid
back. A process takes a twentieth of a second's worth at a time, and what it has taken lasts until it is used. So over
any stretch of time a key sends at most its limit, plus one second's worth, plus a twentieth of one for each process,
plus the last request's events.
"""

import time
from threading import Lock
from typing import Final

from django.db import connection

from billing.metering.access.known import Ask, KnownKey, at_once
from billing.metering.errors import Refusal

LOTS: Final = 20
"""How many lots a second's worth is taken in."""

_BALANCE: Final = """
    least(%(limit)s, coalesce(balance, %(limit)s)
          + %(limit)s * greatest(0, extract(epoch FROM statement_timestamp() - coalesce(balance_at, statement_timestamp()))))
"""  # noqa: E501
# The database's clock: the processes' own differ. It dates nothing that counts in the business.
_TAKE: Final = f"""
    UPDATE metering_apikey_use
    SET balance = {_BALANCE} - %(lot)s, balance_at = greatest(balance_at, statement_timestamp())
    WHERE key_id = %(key)s AND {_BALANCE} > 0
"""
_WAIT: Final = f"SELECT ceil(-({_BALANCE}) * 1000 / %(limit)s) FROM metering_apikey_use WHERE key_id = %(key)s"
_BEGIN: Final = """
    INSERT INTO metering_apikey_use (key_id) SELECT id FROM billing_apikey WHERE id = %s ON CONFLICT DO NOTHING
"""


class _Lease:
    """What this process holds of a key's balance, and until when there is none to be had."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.left = 0
        self.empty_until = 0


_leases: dict[int, _Lease] = {}


def charge(key: KnownKey, events: int, *, ask: Ask = at_once) -> None:
    """Take so many events off the key's limit; Refusal (429, with when to try again) when it is used up."""
    seconds = delay(key, events, ask=ask)
    if seconds:
        detail = (
            f"The API key “{key.name}” sends more than its limit of {key.rate_limit:,} events a second;"
            f" send the same request again in {seconds} s."
        )
        raise Refusal(429, "rate_limited", detail, Retry_After=str(seconds))


def delay(key: KnownKey, events: int, *, ask: Ask = at_once) -> int:
    """Take so many events off the key's limit and give 0, or take none and give the seconds until then."""
    limit = key.rate_limit
    if limit is None or events == 0:
        return 0
    lease = _leases.setdefault(key.pk, _Lease())
    with lease.lock:
        if lease.left < events:
            begun = time.monotonic_ns()
            if begun >= lease.empty_until:
                lot = max(limit // LOTS, events - lease.left)
                milliseconds: int = ask(lambda: _take(key.pk, limit, lot))
                lease.empty_until = begun + milliseconds * 1_000_000
                lease.left += 0 if milliseconds else lot
            if lease.empty_until > begun:
                return -((begun - lease.empty_until) // 1_000_000_000)  # rounded up
        lease.left -= events
    return 0


def _take(key: int, limit: int, lot: int) -> int:
    """Take a lot off the balance: 0, or the milliseconds until it is above zero, at least those of a lot."""
    values = {"key": key, "limit": limit, "lot": lot}
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, values)
        if cursor.rowcount == 0:
            cursor.execute(_BEGIN, [key])
            cursor.execute(_TAKE, values)
        if cursor.rowcount:
            return 0
        cursor.execute(_WAIT, values)
        row = cursor.fetchone()
    return max(1000 // LOTS, int(row[0])) if row else 1000
