"""CSV files come in row by row: good rows count once, bad ones go to an errors file with a sentence each."""

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from billing.metering import csv_import
from billing.metering.asking import BEGINNING, Request
from billing.metering.models import Event, EventBatch, Meter
from billing.metering.store import quantities
from billing.periods import Period

pytestmark = pytest.mark.django_db
TRACE = Path(__file__).parents[2] / "data" / "small_trace.csv"
NAMED = {"column": ["time=TIMESTAMP"], "constant": ["type=inference", "subject=acme"], "zone": "UTC"}


def run(file: Path, tmp_path: Path, **options: Any) -> str:
    out = io.StringIO()
    defaults = NAMED | {"errors": str(tmp_path / "errors.csv")}
    call_command("import_usage", str(file), stdout=out, **(defaults | options))
    return out.getvalue()


def write(tmp_path: Path, *lines: str, name: str = "usage.csv", encoding: str = "utf-8") -> Path:
    file = tmp_path / name
    file.write_bytes("\n".join(lines).encode(encoding))
    return file


def problems(tmp_path: Path) -> list[tuple[str, str]]:
    with (tmp_path / "errors.csv").open(newline="") as stream:
        return [(row["row"], row["code"]) for row in csv.DictReader(stream)]


def test_it_works(tmp_path: Path) -> None:
    out = run(TRACE, tmp_path, data=["input=ContextTokens:number", "output=GeneratedTokens:number"])
    assert out == "12 rows read from small_trace.csv: 12 accepted, 0 duplicates, 0 conflicts, 0 rejected.\n"
    november = Period(datetime(2023, 11, 1, tzinfo=UTC), datetime(2023, 12, 1, tzinfo=UTC))
    asked = [Request(1, (("acme", Period(BEGINNING, None)),), november)]
    for value, total in (("input", 20199), ("output", 561)):
        meter = Meter(code="m", event_type="inference", aggregation="sum", value=value)
        assert quantities(meter, asked)[1].value == total
    assert not (tmp_path / "errors.csv").exists()


def test_times_are_cut_to_microseconds_and_so_stay_in_their_month(tmp_path: Path) -> None:
    run(TRACE, tmp_path)
    times = list(Event.objects.order_by("n").values_list("ts", flat=True))
    assert times[-1] == datetime(2023, 11, 30, 23, 59, 59, 999999, tzinfo=UTC)
    assert times[4] == times[5] == datetime(2023, 11, 16, 18, 17, 3, 979960, tzinfo=UTC)


def test_a_second_import_adds_nothing_and_a_longer_export_only_its_new_rows(tmp_path: Path) -> None:
    lines = TRACE.read_text().splitlines()
    short = write(tmp_path, *lines[:8], name="small_trace.csv")
    assert "7 rows read from small_trace.csv: 7 accepted" in run(short, tmp_path)
    assert "0 accepted, 7 duplicates" in run(short, tmp_path)
    assert "12 rows read from small_trace.csv: 5 accepted, 7 duplicates" in run(TRACE, tmp_path)
    assert Event.objects.count() == 12


def test_another_file_of_the_same_name_is_a_conflict_with_a_way_out(tmp_path: Path) -> None:
    run(TRACE, tmp_path)
    other = write(tmp_path, TRACE.read_text().replace(",40", ",41"), name="small_trace.csv")
    out = run(other, tmp_path)
    assert "0 accepted, 11 duplicates, 1 conflicts, 0 rejected" in out
    assert "give it a --source of its own" in out
    assert problems(tmp_path) == [("1", "conflict")]
    assert "12 accepted" in run(other, tmp_path, source="elsewhere")


def test_bad_rows_are_named_and_good_rows_are_kept(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "when,who,tokens",
        "2026-01-01 00:00:00,acme,1",
        "2026-01-01 00:00:00,,2",
        "yesterday,acme,3",
        "2026-02-30 00:00:00,acme,4",
        "2026-01-01 00:00:00,acme,many",
        "2026-01-01 00:00:00,acme",
        "",
        '2026-01-01 00:00:00,"a\nb",8',
        "2099-01-01 00:00:00,acme,9",
        f"2026-01-01 00:00:00,acme,{'9' * 41}",
    )
    out = run(file, tmp_path, column=["time=when", "subject=who"], constant=["type=call"], data=["tokens:number"])
    assert "9 rows read from usage.csv: 2 accepted, 0 duplicates, 0 conflicts, 7 rejected." in out
    assert str(tmp_path / "errors.csv") in out
    assert problems(tmp_path) == [
        ("2", "missing_subject"), ("3", "invalid_time"), ("4", "invalid_time"), ("5", "invalid_number"),
        ("6", "wrong_width"), ("8", "future_time"), ("9", "invalid_number"),
    ]  # fmt: skip
    with (tmp_path / "errors.csv").open(newline="") as stream:
        row = list(csv.DictReader(stream))[3]
    assert row["reason"].startswith("In the column tokens: 'many' is no decimal")
    assert row["text"] == "2026-01-01 00:00:00,acme,many"


def test_a_time_without_zone_needs_one_from_the_mapping(tmp_path: Path) -> None:
    file = write(tmp_path, "t", "2025-07-01 12:00:00", "2025-07-01 12:00:00+02:00", "2025-07-01T12:00:00Z")
    options = {"column": ["time=t"], "constant": ["type=call", "subject=acme"]}
    assert "2 accepted, 0 duplicates, 0 conflicts, 1 rejected" in run(file, tmp_path, **options, zone=None)
    assert problems(tmp_path) == [("1", "time_without_zone")]


def test_a_zone_is_for_times_that_carry_none(tmp_path: Path) -> None:
    file = write(tmp_path, "t", "2025-07-01 12:00:00", "2025-07-01 12:00:00+05:00", "2025-07-01T12:00Z")
    run(file, tmp_path, column=["time=t"], constant=["type=call", "subject=acme"], zone="Europe/Berlin")
    hours = [event.ts.hour for event in Event.objects.order_by("n")]
    assert hours == [10, 7, 12]


def test_cells_become_numbers_where_they_are_written_as_numbers(tmp_path: Path) -> None:
    file = write(tmp_path, "t,a,b,c,d,e,f", "2025-07-01 12:00:00,1.10,007,x,,-2e3,123456789012345678.125")
    run(file, tmp_path, column=["time=t"], data=["a:string", "b", "c", "d", "e", "f"])
    assert Event.objects.get().data == {"a": "1.10", "b": "007", "c": "x", "e": -2000, "f": 123456789012345678.125}


def test_every_other_column_is_data_unless_some_are_named(tmp_path: Path) -> None:
    file = write(tmp_path, "t,who,a,b", "2025-07-01 12:00:00,acme,1,eu")
    run(file, tmp_path, column=["time=t", "subject=who"], constant=["type=call"])
    run(file, tmp_path, column=["time=t", "subject=who"], constant=["type=call"], data=["size=a"], source="other")
    assert [event.data for event in Event.objects.order_by("batch")] == [{"a": 1, "b": "eu"}, {"size": 1}]


def test_ids_come_from_a_column_or_from_the_content(tmp_path: Path) -> None:
    lines = ["id,t,a", "x1,2025-07-01 12:00:00,1", "x2,2025-07-01 12:00:00,2", "x2,2025-07-01 12:00:00,2"]
    file = write(tmp_path, *lines)
    assert "2 accepted, 1 duplicates" in run(file, tmp_path, column=["id=id", "time=t"])
    assert set(Event.objects.values_list("id", flat=True)) == {"x1", "x2"}
    moved = write(tmp_path, lines[0], *reversed(lines[1:]))
    assert "2 accepted, 1 duplicates" in run(file, tmp_path, column=["time=t"], ids="content", source="c")
    assert "0 accepted, 3 duplicates" in run(moved, tmp_path, column=["time=t"], ids="content", source="c")


def test_a_mapping_may_lie_in_a_file_and_options_overrule_it(tmp_path: Path) -> None:
    mapping = write(
        tmp_path,
        '{"columns": {"time": "TIMESTAMP", "subject": "GeneratedTokens"}, "zone": "UTC", "source": "trace",',
        '"constants": {"type": "inference"}, "data": {"in": {"column": "ContextTokens", "kind": "string"}}}',
        name="mapping.json",
    )
    run(TRACE, tmp_path, mapping=str(mapping), column=[], constant=["subject=acme"], zone=None)
    event = Event.objects.select_related("source", "subject", "type").get(id="1")
    assert (event.source.name, event.subject.name, event.type.name) == ("trace", "acme", "inference")
    assert event.data == {"in": "1200"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"column": ["time=Time"]}, "no column 'Time'; its columns are: TIMESTAMP, ContextTokens, GeneratedTokens."),
        ({"data": ["n=Tokens:number"]}, "no column 'Tokens'; its columns are: TIMESTAMP"),
        ({"column": []}, "Nothing says when the events happened; add --column time=COLUMN."),
        ({"constant": ["type=x"]}, "add --column subject=COLUMN"),
        ({"constant": ["type=x", "subject=a"], "column": ["time=TIMESTAMP", "subject=ContextTokens"]}, "keep one"),
        ({"column": ["when=TIMESTAMP"]}, "'when' means nothing here; use id, type, subject, time."),
        ({"column": ["time"]}, "write it as --column FIELD=NAME"),
        ({"zone": "Mars/Base"}, "'Mars/Base' is no time zone"),
        ({"ids": "column"}, "add --column id=COLUMN"),
        ({"data": ["usage.in=ContextTokens"]}, "Name it with --data usage_in=ContextTokens."),
        ({"data": ["a=ContextTokens", "a=GeneratedTokens"]}, "named twice"),
        ({"mapping": "nowhere.json"}, "The mapping nowhere.json cannot be read"),
        ({"delimiter": "||"}, "give one character"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_stored(
    tmp_path: Path, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(CommandError) as raised:
        run(TRACE, tmp_path, **options)
    assert sentence in str(raised.value)
    assert not EventBatch.objects.exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[", "is no JSON"),
        ("[]", "holds no JSON object"),
        ('{"colums": {}}', "'colums' means nothing here"),
        ('{"columns": {"time": 5}}', "columns is an object of texts"),
        ('{"data": ["a"]}', "data is an object such as"),
        ('{"data": {"a": {"column": "b", "kind": "money"}}}', "of kind 'money'"),
    ],
)
def test_a_mapping_that_cannot_be_read_is_said_by_name(tmp_path: Path, text: str, sentence: str) -> None:
    mapping = write(tmp_path, text, name="mapping.json")
    with pytest.raises(CommandError) as raised:
        run(TRACE, tmp_path, mapping=str(mapping))
    assert sentence in str(raised.value)


def test_a_missing_or_empty_file_is_said_by_name(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"nothing\.csv: No such file"):
        run(tmp_path / "nothing.csv", tmp_path)
    with pytest.raises(CommandError, match="first line must name the columns"):
        run(write(tmp_path, ""), tmp_path)


def test_a_dry_run_says_the_same_and_stores_nothing(tmp_path: Path) -> None:
    assert run(TRACE, tmp_path, dry_run=True).startswith("Dry run, nothing stored: 12 rows")
    assert not EventBatch.objects.exists()
    assert "12 accepted" in run(TRACE, tmp_path)
    assert "0 accepted, 12 duplicates" in run(TRACE, tmp_path, dry_run=True)


def test_files_with_a_byte_order_mark_tabs_and_foreign_bytes_are_read(tmp_path: Path) -> None:
    file = tmp_path / "usage.tsv"
    file.write_bytes(b"\xef\xbb\xbft\twho\n2025-07-01 12:00:00\tacme\n2025-07-01 12:00:00\tM\xfcller\n")
    out = run(file, tmp_path, delimiter="tab", column=["time=t", "subject=who"], constant=["type=call"])
    assert "1 accepted, 0 duplicates, 0 conflicts, 1 rejected" in out
    assert problems(tmp_path) == [("2", "not_utf8")]


def test_a_file_of_many_batches_is_counted_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_import, "BATCH", 5)
    assert "12 rows read from small_trace.csv: 12 accepted" in run(TRACE, tmp_path)
    assert (EventBatch.objects.count(), Event.objects.count()) == (3, 12)
    assert Decimal(sum(event.data["GeneratedTokens"] for event in Event.objects.all())) == 561
