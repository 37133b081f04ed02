"""Reading bodies: the quick way for good batches and the slow one for bad ones mean the same."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.metering import keys
from billing.metering.errors import UnreadableBody
from billing.metering.validate import NewEvent, Problem, check, check_all, new_event, read

LATEST = datetime(2026, 3, 1, tzinfo=UTC)
GOOD = {"id": "1", "type": "call", "subject": "acme", "time": "2026-01-01T00:00:00Z", "data": {"n": 1}}


def verdicts(body: bytes) -> tuple[dict[int, NewEvent], dict[int, str]]:
    reading = read(body)
    good, problems = check_all(reading.events, LATEST, has_default_source=True)
    return dict(good), {each.index: each.code for each in (*reading.problems, *problems)}


def test_it_works() -> None:
    good, problems = verdicts(json.dumps(GOOD).encode())
    assert (good[0].id, good[0].time, bytes(good[0].data)) == ("1", datetime(2026, 1, 1, tzinfo=UTC), b'{"n": 1}')
    assert problems == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023-11-16T18:17:03.9799600Z", datetime(2023, 11, 16, 18, 17, 3, 979960, UTC)),
        ("2023-11-16t18:17:03.9999999z", datetime(2023, 11, 16, 18, 17, 3, 999999, UTC)),
        ("2023-11-16 18:17:03.5+00:00", datetime(2023, 11, 16, 18, 17, 3, 500000, UTC)),
        ("2023-11-16T18:17:03-05:30", datetime(2023, 11, 16, 23, 47, 3, 0, UTC)),
    ],
)
def test_times_are_rfc_3339_cut_to_microseconds(text: str, expected: datetime) -> None:
    good, _ = verdicts(json.dumps(GOOD | {"time": text}).encode())
    assert good[0].time == expected


@pytest.mark.parametrize(
    "text", ["2023-11-16", "20231116T181703Z", "2023-W46-4T00:00:00Z", "2023-11-16T24:01:00Z", "٢023"]
)
def test_other_times_are_refused(text: str) -> None:
    assert verdicts(json.dumps(GOOD | {"time": text}).encode())[1] == {0: "invalid_time"}


def test_escapes_that_are_characters_are_kept() -> None:
    body = json.dumps([GOOD | {"data": {"x": "😀 \\u0000 \\ud800"}}, GOOD | {"id": "é\\ud800"}]).encode()
    assert b"\\ud83d\\ude00" in body
    good, problems = verdicts(body)
    assert problems == {}
    assert json.loads(bytes(good[0].data))["x"] == "😀 \\u0000 \\ud800"


_texts = st.text(max_size=4) | st.sampled_from(["", "x" * 1001, "\0", "€" * 900])
_lists = st.lists(st.integers(), max_size=1) | st.dictionaries(_texts, _texts, max_size=1)
_any = st.none() | st.integers() | _texts | _lists
_times = _any | st.sampled_from([f"{year}-01-01T00:00:00{zone}" for year in (1960, 2026, 2027) for zone in ("", "Z")])
_fields = {"id": _any, "type": _any, "subject": _any, "source": _any, "time": _times, "data": _any, "extra": _any}
_event = st.fixed_dictionaries({}, optional=_fields)


@given(events=st.lists(_event | st.just(GOOD) | st.integers(), max_size=5), indent=st.none() | st.integers(0, 2))
def test_each_event_fares_in_a_batch_as_it_does_alone(events: list[Any], indent: int | None) -> None:
    good, problems = verdicts(json.dumps(events, indent=indent).encode())
    alone = [verdicts(b"[" + json.dumps(event, indent=indent).encode() + b"]") for event in events]
    assert good.keys() | problems.keys() == set(range(len(events)))
    assert problems == {place: each[1][0] for place, each in enumerate(alone) if each[1]}
    for place, event in good.items():
        single = alone[place][0][0]
        assert (event.id, event.type, event.subject, event.source, event.time) == (
            single.id, single.type, single.subject, single.source, single.time,
        )  # fmt: skip
        assert json.loads(bytes(event.data)) == json.loads(bytes(single.data))


@given(events=st.lists(_event, max_size=4))
def test_the_quick_look_at_a_batch_misses_nothing(events: list[Any]) -> None:
    readable = read(json.dumps(events).encode()).events
    good, problems = check_all(readable, LATEST, has_default_source=False)
    by_one = {index: check(event, LATEST, has_default_source=False) for index, event in readable}
    assert [index for index, _ in good] == [index for index, found in by_one.items() if found is None]
    assert [(each.index, each.code, each.message) for each in problems] == [
        (index, *found) for index, found in by_one.items() if found
    ]


@given(body=st.binary(max_size=40) | st.text('[]{},:"0a\\ ', max_size=12).map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        reading = read(body)
    except UnreadableBody:
        reading = None
    assert reading is None or all(isinstance(each, Problem) and each.message for each in reading.problems)


def test_events_made_in_python_are_checked_too() -> None:
    naive = new_event(id="1", type="t", subject="s", data={}, time=datetime(2026, 1, 1))  # noqa: DTZ001
    half = new_event(id="1\ud800", type="t", subject="s", data={})
    found = [check(event, LATEST, has_default_source=True) for event in (naive, half)]
    assert [each and each[0] for each in found] == ["time_without_zone", "invalid_unicode"]


def test_a_secret_matches_only_itself() -> None:
    secret, prefix = keys.make_secret()
    assert keys.prefix_of(secret) == prefix
    assert keys.matches(secret, keys.digest_of(secret))
    assert not keys.matches(secret + "x", keys.digest_of(secret))
    assert [keys.prefix_of(text) for text in ("", "mb_short_x", "mb_abcdefgh", "xx_abcdefgh_x")] == [None] * 4
