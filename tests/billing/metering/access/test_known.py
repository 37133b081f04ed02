"""Which keys open the door, for what, until when; and how uses and refusals are counted."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from billing.metering import access
from billing.metering.access import known, uses
from billing.metering.access.models import ApiKeyUse
from billing.metering.errors import KeyEnded, Refusal
from billing.metering.models import ApiKey
from billing.metering.services import create_api_key, revoke_api_key, rotate_api_key

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def make(**fields: Any) -> tuple[ApiKey, str]:
    given = {"name": "app", "default_source": "app", "user": None, "now": NOW} | fields
    return create_api_key(**given)


def refusal(secret: str, scope: str = "ingest", now: datetime = NOW) -> tuple[int, str]:
    with pytest.raises(Refusal) as caught:
        access.authenticate(f"Bearer {secret}", scope, now)
    return caught.value.status, caught.value.code


def use_of(key: ApiKey) -> tuple[datetime | None, int, datetime | None]:
    return ApiKeyUse.objects.values_list("last_used_at", "refused_count", "refused_at").get(key=key)


@pytest.fixture(autouse=True)
def _nothing_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has just begun."""
    monkeypatch.setattr(uses, "_noted", uses._Noted())


def test_it_works() -> None:
    key, secret = make(scopes=["read", "ingest"], rate_limit=50)
    found = access.authenticate(f"bearer  {secret} ", "read", NOW)
    assert (found.pk, found.name, found.default_source, found.rate_limit) == (key.pk, "app", "app", 50)
    assert use_of(key) == (NOW, 0, None)


@pytest.mark.parametrize("secret", ["mb_abcdefgh_é", "mb_abcdefgh_\udcff", "mb_abcdefgh_" + "x" * 32, "", "mb__"])
def test_an_unknown_secret_opens_nothing_and_is_counted_nowhere(secret: str) -> None:
    make()
    assert refusal(secret) == (401, "unauthorized")
    assert not ApiKeyUse.objects.exists()


def test_a_key_without_the_scope_is_told_so() -> None:
    _, sends = make()
    _, reads = make(scopes=["read"])
    assert refusal(sends, "read") == (403, "insufficient_scope")
    assert refusal(reads, "ingest") == (403, "insufficient_scope")
    assert access.authenticate(f"Bearer {reads}", "read", NOW).scopes == {"read"}


@pytest.mark.parametrize("scopes", [[], ["write"], ["ingest", "write"]])
def test_the_database_refuses_a_key_for_nothing_or_for_what_is_unknown(scopes: list[str]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        make(scopes=scopes)
    with pytest.raises(IntegrityError), transaction.atomic():
        make(rate_limit=0)


def test_every_use_of_a_revoked_key_is_refused_and_counted() -> None:
    key, secret = make()
    revoke_api_key(key=key, now=NOW)
    for minute in range(3):
        assert refusal(secret, now=NOW + timedelta(minutes=minute)) == (401, "key_revoked")
        assert use_of(key) == (None, minute + 1, NOW + timedelta(minutes=minute))


def test_a_key_ends_at_its_expiry_to_the_microsecond() -> None:
    key, secret = make(expires_at=NOW)
    assert access.authenticate(f"Bearer {secret}", "ingest", NOW - timedelta(microseconds=1)).pk == key.pk
    assert refusal(secret) == (401, "key_expired")
    assert use_of(key)[1:] == (1, NOW)


def test_a_replaced_key_and_its_successor_both_work_during_the_overlap() -> None:
    key, old = make(scopes=["read", "ingest"], rate_limit=9)
    made, new = rotate_api_key(key=key, overlap=timedelta(hours=24), user=None, now=NOW)
    for field in ("name", "default_source", "scopes", "rate_limit"):
        assert getattr(made, field) == getattr(key, field)
    assert (made.replaces, made.expires_at) == (key, None)
    within, after = NOW + timedelta(hours=23), NOW + timedelta(hours=24)
    assert access.authenticate(f"Bearer {old}", "read", within).pk == key.pk
    assert access.authenticate(f"Bearer {new}", "read", within).pk == made.pk
    assert refusal(old, now=after) == (401, "key_expired")
    assert access.authenticate(f"Bearer {new}", "read", after).pk == made.pk


def test_without_overlap_the_old_key_ends_at_once_and_never_later_than_it_would() -> None:
    key, old = make(expires_at=NOW + timedelta(hours=1))
    rotate_api_key(key=key, overlap=timedelta(days=7), user=None, now=NOW)
    assert ApiKey.objects.get(pk=key.pk).expires_at == NOW + timedelta(hours=1)
    rotate_api_key(key=key, overlap=timedelta(0), user=None, now=NOW)
    assert refusal(old) == (401, "key_expired")
    with pytest.raises(KeyEnded, match="“app” has ended already"):
        rotate_api_key(key=key, overlap=timedelta(0), user=None, now=NOW)
    assert ApiKey.objects.count() == 3


def test_a_remembered_key_needs_no_query_until_two_seconds_have_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    _, secret = make()
    access.authenticate(f"Bearer {secret}", "ingest", NOW)
    with CaptureQueriesContext(connection) as queries:
        for _ in range(50):
            access.authenticate(f"Bearer {secret}", "ingest", NOW)
    assert len(queries) == 0
    monkeypatch.setattr(known, "REMEMBERED_NS", 0)
    with CaptureQueriesContext(connection) as queries:
        access.authenticate(f"Bearer {secret}", "ingest", NOW)
    assert len(queries) == 1


def test_what_another_process_revoked_is_refused_once_it_is_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    key, secret = make()
    access.authenticate(f"Bearer {secret}", "ingest", NOW)
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=NOW)
    access.authenticate(f"Bearer {secret}", "ingest", NOW)
    monkeypatch.setattr(known, "REMEMBERED_NS", 0)
    assert refusal(secret) == (401, "key_revoked")


def test_uses_are_written_about_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    key, secret = make()
    for minute in range(3):
        access.authenticate(f"Bearer {secret}", "ingest", NOW + timedelta(minutes=minute))
    assert use_of(key)[0] == NOW
    monkeypatch.setattr(uses, "EVERY_NS", 0)
    access.authenticate(f"Bearer {secret}", "ingest", NOW + timedelta(minutes=4))
    assert use_of(key)[0] == NOW + timedelta(minutes=4)


def test_refusals_that_cannot_be_written_are_kept_and_answered_all_the_same() -> None:
    key, secret = make()
    revoke_api_key(key=key, now=NOW)
    assert refusal(secret) == (401, "key_revoked")

    def away(query: Callable[[], Any]) -> Any:
        raise OperationalError

    for _ in range(4):
        with pytest.raises(Refusal, match="was revoked"):
            access.authenticate(f"Bearer {secret}", "ingest", NOW, ask=away)
    assert use_of(key)[1] == 1
    uses.write()
    assert use_of(key)[1] == 5
