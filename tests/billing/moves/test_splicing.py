"""Moves put changes of version in and take them out again, in any order, and leave everything else as it is."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count, permutations

from hypothesis import given
from hypothesis import strategies as st

from billing.moves.splicing import Row, Splice, earlier_change, in_force, put_in, take_out

START = datetime(2024, 1, 1, tzinfo=UTC)
serial = count(1000)


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def rows_of(*changes: tuple[int, int, int], end: int | None = None) -> list[Row]:
    """Rows from (day, version, quantity), each to the next; the last to `end`."""
    ends = [day(each[0]) for each in changes[1:]] + [day(end) if end is not None else None]
    return [
        Row(next(serial), version, Decimal(quantity), day(at), until)
        for (at, version, quantity), until in zip(changes, ends, strict=True)
    ]


def after(rows: Sequence[Row], splice: Splice) -> list[Row]:
    """The rows once a splice is written."""
    assert all(row in rows for row in splice.old)
    kept = [row for row in rows if row not in splice.old]
    made = [Row(next(serial), new.version, new.quantity, new.start, new.end) for new, _ in splice.new]
    return sorted(kept + made, key=lambda row: row.start)


def told(rows: Sequence[Row]) -> list[tuple[int, int, Decimal] | None]:
    """Version and quantity on each day."""
    found = [in_force(rows, day(number)) for number in range(60)]
    return [(number, row.version, row.quantity) if row else None for number, row in enumerate(found)]


class Book:
    """A subscription's rows, with the moves that stand."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.moves: dict[datetime, tuple[int, int | None]] = {}

    def put(self, at: datetime, version: int) -> None:
        earlier = earlier_change(self.rows, at)
        self.rows = after(self.rows, put_in(self.rows, at, version, self.moves.keys()))
        self.moves[at] = (version, earlier)

    def take(self, at: datetime) -> None:
        version, earlier = self.moves.pop(at)
        splice = take_out(self.rows, at, version, earlier, self.moves.keys())
        assert splice is not None
        self.rows = after(self.rows, splice)


def test_it_works() -> None:
    book = Book(rows_of((0, 1, 1), (20, 1, 5), end=40))
    before = told(book.rows)
    book.put(day(10), 2)
    assert [row and row[1] for row in told(book.rows)] == [1] * 10 + [2] * 30 + [None] * 20
    assert in_force(book.rows, day(25)).quantity == 5  # type: ignore[union-attr]
    book.take(day(10))
    assert told(book.rows) == before


def test_a_later_change_that_is_known_stands() -> None:
    book = Book(rows_of((0, 1, 1), (20, 7, 1)))
    book.put(day(10), 2)
    assert [row and row[1] for row in told(book.rows)] == [1] * 10 + [2] * 10 + [7] * 40


def test_two_moves_end_the_same_in_either_order() -> None:
    one, other = Book(rows_of((0, 1, 1))), Book(rows_of((0, 1, 1)))
    one.put(day(10), 2)
    one.put(day(20), 3)
    other.put(day(20), 3)
    other.put(day(10), 2)
    assert told(one.rows) == told(other.rows)


def test_the_first_of_two_taken_back_leaves_the_second() -> None:
    book = Book(rows_of((0, 1, 1)))
    book.put(day(10), 2)
    book.put(day(20), 3)
    book.take(day(10))
    assert [row and row[1] for row in told(book.rows)] == [1] * 20 + [3] * 40
    book.take(day(20))
    assert {row and row[1] for row in told(book.rows)} == {1}


def test_a_change_that_stood_at_the_very_moment_comes_back() -> None:
    book = Book(rows_of((0, 1, 1), (10, 4, 1)))
    before = told(book.rows)
    book.put(day(10), 2)
    book.take(day(10))
    assert told(book.rows) == before


def test_nothing_is_taken_out_where_somebody_put_another_version() -> None:
    rows = rows_of((0, 1, 1), (10, 9, 1))
    assert take_out(rows, day(10), 2, None) is None
    assert take_out(rows_of((0, 2, 1)), day(10), 2, None) is None


def test_nothing_is_put_where_nothing_is_in_force() -> None:
    assert put_in(rows_of((0, 1, 1), end=10), day(10), 2) == Splice((), ())


histories = st.lists(
    st.tuples(st.integers(1, 4), st.integers(1, 3)), min_size=1, max_size=4
).flatmap(
    lambda pairs: st.lists(st.integers(1, 50), min_size=len(pairs) - 1, max_size=len(pairs) - 1, unique=True).map(
        lambda days: [(at, *pair) for at, pair in zip([0, *sorted(days)], pairs, strict=True)]
    )
)  # fmt: skip
moves = st.dictionaries(st.integers(0, 55), st.integers(10, 13), min_size=1, max_size=4)


@given(history=histories, asked=moves, end=st.none() | st.integers(56, 59), data=st.data())
def test_what_stands_is_told_by_the_moves_that_were_not_taken_back(
    history: list[tuple[int, int, int]], asked: dict[int, int], end: int | None, data: st.DataObject
) -> None:
    """Whatever the order of moves and cancellations: as if only the rest had ever been scheduled."""
    book = Book(rows_of(*history, end=end))
    start = list(book.rows)
    for number in data.draw(st.permutations(list(asked))):
        book.put(day(number), asked[number])
    gone = data.draw(st.lists(st.sampled_from(list(asked)), unique=True))
    for number in gone:
        book.take(day(number))
    rest = [number for number in asked if number not in gone]
    expected = Book(start)
    for number in rest:
        expected.put(day(number), asked[number])
    assert told(book.rows) == told(expected.rows)
    if not rest:
        assert told(book.rows) == told(start)


@given(history=histories, asked=moves)
def test_every_order_ends_the_same(history: list[tuple[int, int, int]], asked: dict[int, int]) -> None:
    start = rows_of(*history)
    ends = []
    for order in permutations(list(asked)[:3]):
        book = Book(list(start))
        for number in order:
            book.put(day(number), asked[number])
        ends.append(told(book.rows))
    assert all(end == ends[0] for end in ends)
