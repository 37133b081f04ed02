"""The lines of a document by customer and contract, and their sums."""

from decimal import Decimal
from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from billing.invoicing.sections import Heading, sections

NORTH, NORTH_TOO = Heading(1, "North", "C-1", "4711"), Heading(2, "North", "C-2")
SOUTH = Heading(3, "South", "C-3")


def cut(*lines: tuple[Heading, str]) -> list[tuple[str, list[str], list[tuple[str, str]]]]:
    """Title, lines and sums of each section; a line stands for itself by its amount."""
    found = sections([(heading, Decimal(amount), amount) for heading, amount in lines])
    return [(each.title, list(each.lines), [(label, str(sum_)) for label, sum_ in each.sums]) for each in found]


def test_it_works() -> None:
    assert cut((NORTH, "1"), (NORTH, "2"), (NORTH_TOO, "4"), (SOUTH, "-8")) == [
        ("North · Contract C-1 · PO 4711", ["1", "2"], [("Contract C-1", "3")]),
        ("North · Contract C-2", ["4"], [("Contract C-2", "4"), ("North", "7")]),
        ("South · Contract C-3", ["-8"], [("South", "-8")]),
    ]


def test_one_contract_has_neither_title_nor_sum() -> None:
    assert cut((NORTH, "1"), (NORTH, "2")) == [("", ["1", "2"], [])]
    assert cut() == []


def test_contracts_of_one_customer_are_told_by_their_numbers() -> None:
    assert cut((NORTH, "1"), (NORTH_TOO, "2")) == [
        ("Contract C-1 · PO 4711", ["1"], [("Contract C-1", "1")]),
        ("Contract C-2", ["2"], [("Contract C-2", "2")]),
    ]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(-999, 999)), max_size=30))
def test_nothing_is_lost_and_the_sums_of_contracts_add_up(rows: list[tuple[int, int, int]]) -> None:
    lines = [
        (Heading(customer * 10 + contract, f"N{customer}", f"C-{customer}-{contract}"), Decimal(amount), place)
        for place, (customer, contract, amount) in enumerate(sorted(rows))
    ]
    found = sections(lines)
    assert [line for each in found for line in each.lines] == list(range(len(rows)))
    if len(found) > 1:
        assert sum(each.sums[0][1] for each in found) == sum(amount for _, amount, _ in lines)
        assert len(found) == len(list(groupby(heading for heading, *_ in lines)))
