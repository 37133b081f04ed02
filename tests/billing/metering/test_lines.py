"""Newline-delimited JSON: what is a line, what is a problem, and how lines make batches."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.metering.lines import BATCH, batches, numbered
from billing.metering.validate import NewEvent, Reading

LINE = b'{"id": "%d", "type": "call", "subject": "acme"}\n'


def read(body: bytes, piece: int = 7, most_bytes: int = 10_000, **limits: int) -> list[Reading]:
    pieces = (body[at : at + piece] for at in range(0, len(body), piece))
    return list(batches(pieces, longest_line=100, most_bytes=most_bytes, **limits))


def test_it_works() -> None:
    (reading,) = read(LINE % 0 + b"\n \r\n" + LINE % 3 + (LINE % 4).strip())
    assert [(index, event.id) for index, event in reading.events] == [(0, "0"), (3, "3"), (4, "4")]
    assert isinstance(reading.events[0][1], NewEvent)
    assert reading.problems == []


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"nonsense", "not_an_object"),
        (b'{"id": "1"', "invalid_json"),
        (b'{"id": "1", "type": "a", "subject": "b"} {}', "invalid_json"),
        (b'{"id": "1", "type": "a", "subject": "b"}, {"id": "2", "type": "a", "subject": "b"}', "invalid_json"),
        (b"[]", "not_an_object"),
        (b"]", "not_an_object"),
        (b'{"id": "\xff"}', "not_utf8"),
        (b'{"id": "1", "type": "a"}', "missing_subject"),
        (b"x" * 101, "line_too_long"),
        (b"x" * 1000, "line_too_long"),
    ],
)
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
@pytest.mark.parametrize("piece", [1, 7, 5000])
def test_a_bad_line_is_one_problem_at_its_place(line: bytes, code: str, end: bytes, piece: int) -> None:
    (reading,) = read(LINE % 0 + line + end + (LINE % 2 if end else b""), piece)
    assert [(problem.index, problem.code) for problem in reading.problems] == [(1, code)]
    assert [index for index, _ in reading.events] == ([0, 2] if end else [0])


def test_batches_are_bounded_by_events_and_by_bytes() -> None:
    body = b"".join(LINE % n for n in range(BATCH * 2 + 1))
    assert [len(reading.events) for reading in read(body, 5000, 10**9)] == [BATCH, BATCH, 1]
    assert [len(reading.events) for reading in read(body, 5000, 10**9, most_events=1500)] == [1500, 501]
    assert max(len(reading.events) for reading in read(body, 5000, 500)) <= 11
    assert [index for reading in read(body, 5000, 500) for index, _ in reading.events] == list(range(BATCH * 2 + 1))
    assert read(b"\n\n", 1) == []


def test_a_batch_is_given_out_before_the_next_is_read() -> None:
    def pieces() -> Iterator[bytes]:
        for n in range(BATCH):
            yield LINE % n
        raise ConnectionError

    readings = batches(pieces(), longest_line=100, most_bytes=10**9)
    assert len(next(readings).events) == BATCH
    with pytest.raises(ConnectionError):
        next(readings)


@given(st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line)), st.integers(1, 40))
def test_lines_do_not_depend_on_how_the_bytes_arrive(lines: list[bytes], piece: int) -> None:
    body = b"\n".join(lines)
    pieces = [body[at : at + piece] for at in range(0, len(body), piece)]
    expected = [
        (index, line if len(line) <= 20 else None)
        for index, line in enumerate(body.split(b"\n"))
        if line.strip() or len(line) > 20
    ]
    assert list(numbered(pieces, 20)) == expected
