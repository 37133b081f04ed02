"""Files are read as they are meant: delimiters, dates, exact numbers; and what cannot be read is refused by name."""

import io
import zipfile
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import openpyxl
import pytest

from billing.metering.csv_import import serial_time
from billing.metering.models import Event
from billing.metering.sources import tables, workbooks
from billing.metering.sources.errors import UnreadableFile
from billing.metering.sources.guessing import guess, remembered, sniff_delimiter
from billing.metering.sources.tables import Reading, open_table
from tests.billing.metering.sources.helpers import MAPPING, bring_in, check, counts, receive, workbook

HEADER = ["time", "customer", "tokens"]
ROW = [
    datetime(2026, 2, 1, 8),  # noqa: DTZ001  as a workbook has it
    "acme",
    1,
]


def read(content: bytes, name: str = "usage.csv", **reading: Any) -> tuple[list[str], list[Any]]:
    with open_table(io.BytesIO(content), name, len(content), Reading(**reading)) as table:
        return table.header, list(table.rows)


def refusal(content: bytes, name: str = "usage.csv") -> str:
    with pytest.raises(UnreadableFile) as raised:
        read(content, name)
    return str(raised.value)


def test_it_works() -> None:
    assert read(b"a,b\n1,2\n\n3,4") == (["a", "b"], [(1, ["1", "2"]), (2, ["3", "4"])])


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    text = delimiter.join(["time", "amount, net", "note"]) + "\n" + delimiter.join(["2026-01-01", '"1,5"', "x"])
    assert read(text.replace("amount, net", '"amount, net"').encode())[1] == [(1, ["2026-01-01", "1,5", "x"])]


def test_a_semicolon_file_with_decimal_commas_is_not_cut_at_them() -> None:
    assert sniff_delimiter(["zeit;menge\n", "2026-01-01 00:00;1,5\n", "2026-01-01 00:01;2,5\n"]) == ";"
    assert sniff_delimiter(["time\n", "2026-01-01\n"]) == ","


def test_a_byte_order_mark_is_no_part_of_the_first_name() -> None:
    assert read("time;größe\r\n1;2\r\n".encode("utf-8-sig"))[0] == ["time", "größe"]


@pytest.mark.parametrize(
    ("content", "name", "sentence"),
    [
        (b"", "usage.csv", "is empty; its first line must name the columns"),
        (b"\n\n", "usage.csv", "is empty"),
        (b"a,b\n1,2\n", "usage.pdf", "its name must end with .csv, .tsv, .txt, .xlsx"),
        (b"a,b\n1,2\n", "usage.xlsx", "is no workbook, whatever its name says; name it .csv"),
        (b"PK\x03\x04rest", "usage.csv", "is a workbook, whatever its name says; name it .xlsx"),
        (b"PK\x03\x04rest", "usage.xlsx", "cannot be read as a workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "usage.xlsx", "protected by a password, or in the old format .xls"),
        ("a,b\n1,2\n".encode("utf-16"), "usage.csv", "no text in UTF-8; save it as “CSV UTF-8”"),
        ("größe,b\n1,2\n".encode("latin-1"), "usage.csv", "not in UTF-8"),
        (b"Usage of February\na,b,c\n1,2,3\n", "usage.csv", "it seems to be a title. Delete the lines above"),
        (b'"' + b"a" * 200_000, "usage.csv", "cannot be read as CSV"),
        (b"a," * 300, "usage.csv", "has 301 columns; at most 200 can be named"),
        (b"a,,c\n1,2,3\n", "usage.csv", "Column 2 of usage.csv has no name"),
        (b"a,b,a\n1,2,3\n", "usage.csv", "names the column 'a' twice"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_the_way_out(content: bytes, name: str, sentence: str) -> None:
    assert sentence in refusal(content, name)


def test_a_line_without_end_does_not_fill_the_memory(monkeypatch: Any) -> None:
    monkeypatch.setattr(tables, "LINE_LIMIT", 1000)
    assert "a line of more than 1,000 characters" in refusal(b"a,b\n" + b"x" * 2000)


def test_a_row_that_is_being_written_waits() -> None:
    started = b"a,b\n1,2\n3,4"
    assert [number for number, _ in read(started, whole=False)[1]] == [1]
    assert [number for number, _ in read(started + b"\n", whole=False)[1]] == [1, 2]
    assert [number for number, _ in read(b'a,b\n1,2\n3,"4\n', whole=False)[1]] == [1]
    assert [number for number, _ in read(started)[1]] == [1, 2]


def test_cells_of_a_workbook_are_exact_text() -> None:
    cells = [
        0.1,
        1 / 3,
        12,
        1e20,
        True,
        None,
        datetime(2026, 2, 1, 8, 30, 15),  # noqa: DTZ001
        date(2026, 2, 1),
        time(8, 30),
        "007",
        "x",
    ]
    header = [f"c{place}" for place in range(len(cells))]
    assert read(workbook(header, cells), "u.xlsx")[1] == [
        (1, ["0.1", "0.3333333333333333", "12", "100000000000000000000", "true", "", "2026-02-01 08:30:15",
             "2026-02-01 00:00:00", "08:30:00", "007", "x"]),
    ]  # fmt: skip


def test_a_number_that_excel_wrote_with_all_its_binary_digits_is_the_one_that_was_typed() -> None:
    content = workbook(["a"], [0.1])
    source = zipfile.ZipFile(io.BytesIO(content))
    changed = io.BytesIO()
    with zipfile.ZipFile(changed, "w") as target:
        for part in source.infolist():
            body = source.read(part).replace(b"<v>0.1</v>", b"<v>0.10000000000000001</v>")
            target.writestr(part, body)
    assert read(changed.getvalue(), "u.xlsx")[1] == [(1, ["0.1"])]


def test_blank_rows_and_empty_cells_at_the_end_are_no_rows() -> None:
    content = workbook(["a", "b", None], [1, None], [None, None], ["", " "], [3, 4, None, None], [None, 5])
    assert read(content, "u.xlsx")[1] == [(1, ["1", ""]), (2, ["3", "4"]), (3, ["", "5"])]


def test_a_merged_title_is_refused() -> None:
    book = openpyxl.Workbook()
    book.active.append(["Usage of February"])
    book.active.merge_cells("A1:C1")
    book.active.append(HEADER)
    book.active.append(ROW)
    stream = io.BytesIO()
    book.save(stream)
    assert "names 1 column, and the rows below have 3 cells: it seems to be a title" in refusal(
        stream.getvalue(), "u.xlsx"
    )


def test_a_sheet_is_chosen_by_name() -> None:
    content = workbook(["a"], [1], Other=[["b"], [2]])
    assert read(content, "u.xlsx", sheet="Other") == (["b"], [(1, ["2"])])
    with pytest.raises(UnreadableFile, match="its sheets are: Sheet, Other"):
        read(content, "u.xlsx", sheet="Third")


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 60_000_000)
    assert "60,000,000 bytes unpacked" in refusal(stream.getvalue(), "u.xlsx")


def test_texts_that_would_fill_the_memory_are_refused(monkeypatch: Any) -> None:
    monkeypatch.setattr(workbooks, "HELD_LIMIT", 1000)
    assert "more than the 1,000 that are read; save it as CSV" in refusal(workbook(HEADER, ROW), "u.xlsx")


@pytest.mark.django_db
def test_dates_of_a_workbook_are_in_the_zone_of_the_mapping() -> None:
    content = workbook(
        HEADER, ROW, [46054.25, "acme", 2], ["2026-02-01 10:00:00+00:00", "acme", 3], [time(8), "acme", 4]
    )
    upload = bring_in(receive(content, "usage.xlsx"), MAPPING | {"zone": "Europe/Berlin"})
    assert counts(upload) == (4, 3, 0, 0, 1)
    assert list(Event.objects.order_by("n").values_list("ts__hour", flat=True)) == [7, 5, 10]


@pytest.mark.django_db
def test_long_numbers_are_reported_since_excel_has_cut_them() -> None:
    content = workbook(HEADER, [ROW[0], 1234567890123456789, 1], [ROW[0], "1234567890123456789", 1])
    assert check(receive(content, "usage.xlsx"))["long_numbers"] == 1


def test_serial_numbers_of_both_systems_are_times() -> None:
    assert serial_time("46054.5", datetime(1899, 12, 30, tzinfo=UTC)) == datetime(2026, 2, 1, 12, tzinfo=UTC)
    assert serial_time("44592", datetime(1904, 1, 1, tzinfo=UTC)) == datetime(2026, 2, 1, tzinfo=UTC)
    third = serial_time(str(Decimal(46054) + Decimal(1) / 3), datetime(1899, 12, 30, tzinfo=UTC))
    assert third == datetime(2026, 2, 1, 8, tzinfo=UTC)


def test_columns_are_guessed_by_their_names() -> None:
    header = ["Request ID", "Event Time (UTC)", "customerId", "event_type", "usage.tokens", "date"]
    assert [(each.role, each.name) for each in guess(header)] == [
        ("id", ""), ("time", ""), ("subject", ""), ("type", ""), ("property", "usage_tokens"), ("property", "date"),
    ]  # fmt: skip


def test_columns_of_an_earlier_mapping_are_what_they_were() -> None:
    found = remembered(["time", "customer", "tokens", "note"], MAPPING)
    assert [(each.role, each.kind) for each in found] == [
        ("time", "auto"), ("subject", "auto"), ("property", "number"), ("none", "auto"),
    ]  # fmt: skip
