"""How the columns of a CSV file become events: the mapping, from JSON or from the command line. Pure: no Django."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from billing.metering.errors import ImportMappingError
from billing.periods import UnknownTimezone, zone

FIELDS: Final = ("id", "type", "subject", "time")
KINDS: Final = ("auto", "number", "string")
IDS: Final = ("row", "column", "content")


@dataclass(frozen=True, slots=True)
class DataColumn:
    """A column that becomes a property of `data`.

    `number` cells must be numbers, `string` cells stay text, `auto` cells are numbers where they are written as JSON
    writes them, else text ("007" stays text). An empty cell is no property.
    """

    name: str
    column: str
    kind: str = "auto"


@dataclass(frozen=True, slots=True)
class CsvMapping:
    """Which column, or constant, is what; the JSON form has the same names.

    `zone` is the time zone of times that carry none; `ids` is where ids come from: the row's number, a column, or the
    row's content (equal rows then count once). `data` of None takes every column that is nothing else. `source` names
    the sender; files that overlap belong to one source.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    data: tuple[DataColumn, ...] | None = None
    zone: str | None = None
    ids: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        _among("--column", self.columns, FIELDS)
        _among("--constant", self.constants, ("type", "subject"))
        for both in self.columns.keys() & self.constants.keys():
            raise ImportMappingError(f"The {both} is named as a column and as a constant; keep one of the two.")
        for needed in ("type", "subject"):
            if needed not in self.columns and needed not in self.constants:
                raise ImportMappingError(
                    f"Nothing says what the {needed} of the events is; add --column {needed}=COLUMN for a column,"
                    f" or --constant {needed}=VALUE for one and the same."
                )
        if "time" not in self.columns:
            raise ImportMappingError("Nothing says when the events happened; add --column time=COLUMN.")
        if self.ids not in ("", *IDS):
            raise ImportMappingError(f"{self.ids!r} is no way to make ids; use {', '.join(IDS)}.")
        if self.ids_from == "column" and "id" not in self.columns:
            raise ImportMappingError("Ids are to come from a column, and none is named; add --column id=COLUMN.")
        if self.ids_from != "column" and "id" in self.columns:
            raise ImportMappingError(f"A column of ids is named, but --ids {self.ids} makes others; drop one.")
        if self.zone is not None:
            try:
                zone(self.zone)
            except UnknownTimezone as error:
                raise ImportMappingError(f"--zone: {error}") from None
        self._check_data()

    @property
    def ids_from(self) -> str:
        """Where ids come from: as said, else the id column where one is named, else the row's number."""
        return self.ids or ("column" if "id" in self.columns else "row")

    def _check_data(self) -> None:
        names = [each.name for each in self.data or ()]
        for each in self.data or ():
            if each.kind not in KINDS:
                raise ImportMappingError(f"The property {each.name} is of kind {each.kind!r}; use {', '.join(KINDS)}.")
            if names.count(each.name) > 1:
                raise ImportMappingError(f"The property {each.name} is named twice; name each property once.")

    def data_columns(self, header: Sequence[str]) -> tuple[DataColumn, ...]:
        """The columns that become properties, for a file with this header.

        ImportMappingError when the header and the mapping do not fit: a column that is not there, a name twice.
        """
        exist = ", ".join(header)
        for name in header:
            if header.count(name) > 1:
                raise ImportMappingError(f"The header names the column {name!r} twice; rename one of them in the file.")
        wanted = [*self.columns.values(), *(each.column for each in self.data or ())]
        for column in wanted:
            if column not in header:
                raise ImportMappingError(f"The file has no column {column!r}; its columns are: {exist}.")
        data = self.data
        if data is None:
            data = tuple(DataColumn(name, name) for name in header if name not in self.columns.values())
        for each in data:
            if "." in each.name or not each.name:
                raise ImportMappingError(
                    f"The property {each.name!r} has a point in its name, or none; meters read a point as a path."
                    f" Name it with --data {each.name.replace('.', '_') or 'NAME'}={each.column}."
                )
        return data


def from_json(text: str, where: str) -> dict[str, Any]:
    """The parts of a mapping from its JSON form; ImportMappingError for unknown keys and wrong types."""
    try:
        given = json.loads(text)
    except ValueError as error:
        raise ImportMappingError(f"{where} is no JSON: {error}.") from None
    if not isinstance(given, dict):
        raise ImportMappingError(f'{where} holds no JSON object; write {{"columns": {{"time": "COLUMN"}}, …}}.')
    _among(where, given, ("columns", "constants", "data", "zone", "ids", "source"))
    for key in ("columns", "constants"):
        value = given.get(key, {})
        if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
            raise ImportMappingError(f'{where}: {key} is an object of texts, such as {{"time": "TIMESTAMP"}}.')
    for key in ("zone", "ids", "source"):
        if not isinstance(given.get(key, ""), str):
            raise ImportMappingError(f"{where}: {key} is a text.")
    if "data" in given:
        given["data"] = _data_from_json(given["data"], where)
    return given


def from_mapping(given: Mapping[str, Any], where: str) -> CsvMapping:
    """The mapping of its JSON form; ImportMappingError when it is none."""
    return CsvMapping(**from_json(json.dumps(given), where))


def _data_from_json(given: Any, where: str) -> tuple[DataColumn, ...]:
    """Properties from `{"tokens": "Tokens"}` or `{"tokens": {"column": "Tokens", "kind": "number"}}`."""
    found = []
    for name, value in given.items() if isinstance(given, dict) else [("", None)]:
        parts = {"column": value} if isinstance(value, str) else value
        if (
            not isinstance(parts, dict)
            or not set(parts) <= {"column", "kind"}
            or not isinstance(parts.get("column"), str)
        ):
            raise ImportMappingError(
                f'{where}: data is an object such as {{"tokens": {{"column": "Tokens", "kind": "number"}}}}.'
            )
        found.append(DataColumn(name, parts["column"], str(parts.get("kind", "auto"))))
    return tuple(found)


def from_options(
    *,
    file: str | None,
    columns: Iterable[str],
    constants: Iterable[str],
    data: Iterable[str],
    zone: str | None,
    ids: str | None,
    source: str | None,
) -> CsvMapping:
    """The mapping that the options of the command line mean; they add to the mapping's file and overrule it."""
    parts: dict[str, Any] = {}
    if file:
        try:
            parts = from_json(Path(file).read_text(encoding="utf-8"), file)
        except (OSError, UnicodeDecodeError) as error:
            raise ImportMappingError(f"The mapping {file} cannot be read: {error}.") from None
    said = {
        "columns": dict(_pair("--column", text) for text in columns),
        "constants": dict(_pair("--constant", text) for text in constants),
    }
    for key, pairs in said.items():
        overruled = {field for each in said.values() for field in each}
        parts[key] = {field: name for field, name in parts.get(key, {}).items() if field not in overruled} | pairs
    if properties := tuple(_data_option(text) for text in data):
        parts["data"] = properties
    given = {"zone": zone, "ids": ids, "source": source}
    return CsvMapping(**(parts | {key: value for key, value in given.items() if value}))


def _pair(option: str, text: str) -> tuple[str, str]:
    """NAME and VALUE of NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise ImportMappingError(f"{option} {text}: write it as {option} FIELD=NAME, such as {option} time=TIMESTAMP.")
    return name, value


def _data_option(text: str) -> DataColumn:
    """A property from NAME=COLUMN or COLUMN, with :number or :string behind it where the kind is to be fixed."""
    rest, _, kind = text.rpartition(":")
    if kind not in KINDS:
        rest, kind = text, "auto"
    name, equals, column = rest.partition("=")
    return DataColumn(name, column if equals else name, kind)


def _among(where: str, given: Iterable[str], known: Sequence[str]) -> None:
    """ImportMappingError for a name that is not known."""
    for name in given:
        if name not in known:
            raise ImportMappingError(f"{where}: {name!r} means nothing here; use {', '.join(known)}.")
