"""An uploaded file becomes a table of text that `prepare` judges: nothing is guessed, nothing is lost, every record keeps its number.

`_row` is the number a spreadsheet shows: the header of CSV and XLSX is row 1, blank rows count, and a record is one row however many
lines its quoted cells span. In Parquet and JSON the first record is row 1. Records without any value are blank and are skipped.

CSV is read by DuckDB in parallel if that is certain to be exact: lines = header + blank lines + rows loaded + records rejected
means that no cell has several lines and no record is lost. Otherwise Python reads it, some five times slower, and numbers as it
goes. DuckDB's sniffer is never asked, since it can take a header for data, or 007 for a number.

Refused here: what cannot be read at all, and columns that are unknown, doubled or missing. Files that would expand beyond bounds are
refused by what their directory or footer claims, before anything is unpacked.
"""

from __future__ import annotations

import csv
import datetime
import itertools
import mmap
import re
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import duckdb
import msgspec

from forebay.errors import ForebayError, nearest
from forebay.project.project import Input
from forebay.run.explode import identifier, literal

_DELIMITERS = ",;\t|"
_CHUNK = 1 << 24
_PLAIN = bytes(set(range(256)) - set(b'"\n'))
_EXPANDED, _EXPANDED_FREELY = 4 << 30, 64 << 20
"""A compressed upload may expand to a hundred times its size, but to the one at most, and to the other in any case."""
_REJECTS = 100_000
"""More records than these that DuckDB rejects are left to Python, which does not keep them in memory."""
_SPREADSHEET_ROWS = 1 << 20
_NESTED = ("STRUCT", "MAP", "UNION", "VARIANT")

Record = tuple[int, Sequence[str | None], str]
"""A row number, its fields, and the rule it breaks as a whole ("" for none; then the fields are one: the record's text)."""


def read_input(connection: duckdb.DuckDBPyConnection, declared: Input, path: Path, into: str, *, scratch: Path) -> int:
    """Load `path` as relation `into`: `_row` and every declared column as text, NULL where the file has none. Returns its rows.

    Records that cannot be read go to table `<into>_malformed` (_row, value, rule). `scratch` is a folder that the connection may read
    and this process may write. The connection keeps insertion order, as DuckDB does by default.
    """
    readers = {
        ".csv": _read_csv, ".tsv": _read_csv, ".txt": _read_csv, ".parquet": _read_parquet, ".json": _read_json,
        ".ndjson": _read_json, ".jsonl": _read_json, ".xlsx": _read_xlsx, ".xlsm": _read_xlsx,
    }  # fmt: skip
    if not path.is_file():
        raise ForebayError("input.missing_file", f"there is no file {path}", where=f"input {declared.name}")
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise _unreadable(
            path, f"{path.suffix or 'a name without extension'} is no format that inputs have", "Give CSV, Parquet, JSON or XLSX"
        )
    connection.execute(f"CREATE TABLE {identifier(into + '_malformed')} (_row BIGINT, value VARCHAR, rule VARCHAR)")
    try:
        reader(connection, declared, path, into, scratch)
    except UnicodeDecodeError as error:
        raise _not_utf8(path) from error
    (rows,) = connection.execute(f"SELECT count(*) FROM {identifier(into)}").fetchall()[0]
    if rows > declared.max_rows:
        raise _too_many(declared, path, f"{rows:,}")
    return int(rows)


def no_input(connection: duckdb.DuckDBPyConnection, declared: Input, into: str) -> None:
    """What `read_input` leaves for an optional input that was not given: no rows."""
    columns = "".join(f", {identifier(column.name)} VARCHAR" for column in declared.columns)
    connection.execute(
        f"CREATE TABLE {identifier(into)} (_row BIGINT{columns});"
        f"CREATE TABLE {identifier(into + '_malformed')} (_row BIGINT, value VARCHAR, rule VARCHAR)"
    )


def _read_csv(connection: duckdb.DuckDBPyConnection, declared: Input, path: Path, into: str, scratch: Path) -> None:
    delimiter, names, first = _header(declared, path)
    columns = _match(declared, path, names)
    if not _load_lines(connection, declared, path, into, delimiter, columns, _lines(path) if first == 1 else None):
        _load_records(connection, declared, path, into, columns, _csv_records(path, delimiter, len(columns)), scratch)


def _header(declared: Input, path: Path) -> tuple[str, list[str], int]:
    """The delimiter by which the header names most declared columns, the names, and the line at which the header ends."""
    known = {_plain(column.name) for column in declared.columns}
    best: tuple[int, int] | None = None
    found = (",", [""], 0)
    for delimiter in _DELIMITERS:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
            try:
                names = next((fields for fields in reader if any(field.strip() for field in fields)), None)
            except csv.Error as error:
                raise _unreadable(path, f"its header cannot be read: {error}") from error
            if names is None:
                raise _unreadable(path, "it is empty: there is no header", "The first row must name the columns")
            while not names[-1].strip():
                names.pop()
            score = (len(known & set(map(_plain, names))), len(names) if len(names) > 1 else 0)
            if best is None or score > best:
                best, found = score, (delimiter, names, reader.line_num)
    return found


def _match(declared: Input, path: Path, names: Sequence[str]) -> list[str]:
    """The declared column behind each name of the file; names are compared without case and surrounding space."""
    known = {_plain(column.name): column.name for column in declared.columns}
    columns: list[str] = []
    for place, name in enumerate(names, 1):
        column = known.get(_plain(name))
        if column is None:
            what = f"there is no column `{name.strip()}`" if name.strip() else f"column {place} has no name"
            where = f"{path.name}, column {place}"
            raise ForebayError("input.unknown_column", what, where=where, advice=nearest(_plain(name), known.values()))
        if column in columns:
            raise ForebayError("input.duplicate_column", f"column `{column}` is there twice", where=f"{path.name}, column {place}")
        columns.append(column)
    defaults = {column.name for column in declared.columns if column.default is not None}
    there = defaults | set(columns)
    missing = [column.name for column in declared.columns if column.required and column.name not in there]
    keys = [*declared.unique, *([declared.hierarchy.levels] if declared.hierarchy else [])]
    absent = next((key for key in keys if not there & set(key)), ())
    if missing or absent:
        what = f"required column {', '.join(missing)} is missing" if missing else f"none of the columns {', '.join(absent)} is there"
        raise ForebayError("input.missing_column", what, where=path.name, advice=f"It has {', '.join(columns) or 'no column'}")
    return columns


def _lines(path: Path) -> tuple[int, list[int]] | None:
    """How many lines a file has up to its last non-blank one, and which are blank; None if lines are not records: a quote spans some."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        end = len(data)
        while end and data[end - 1] in b"\r\n":
            end -= 1
        quoted = data.find(b'"', 0, end) >= 0
        lines, blank, at = 0, list[int](), 0
        while at < end:
            after = data.find(b"\n", at + _CHUNK, end) + 1 or end
            chunk = data[at:after]
            # With the quotes that close on their line gone, any that is left spans lines.
            if quoted and b'"' in chunk.translate(None, _PLAIN).replace(b'""', b""):
                return None
            if chunk.startswith((b"\n", b"\r\n")) or b"\n\n" in chunk or b"\n\r\n" in chunk:
                blank += [n for n, line in enumerate(chunk.split(b"\n")[:-1], lines + 1) if line in (b"", b"\r")]
            lines += chunk.count(b"\n")
            at = after
        return lines + 1, blank


def _load_lines(
    connection: duckdb.DuckDBPyConnection,
    declared: Input,
    path: Path,
    into: str,
    delimiter: str,
    columns: list[str],
    scanned: tuple[int, list[int]] | None,
) -> bool:
    """Load a CSV whose lines are records with DuckDB; False if it cannot be sure that every row has its right number."""
    if scanned is None:
        return False
    lines, blank_lines = scanned[0], scanned[1] if len(columns) > 1 else []  # of one column, a blank line is a value
    if lines - len(blank_lines) - 1 > declared.max_rows:
        return False
    text, rejects, scans = (f"{into}__{part}" for part in ("text", "rejects", "scans"))
    keep = f"store_rejects=true, rejects_table={literal(rejects)}, rejects_scan={literal(scans)}"
    kinds = dict.fromkeys(columns, "VARCHAR")
    try:
        connection.execute(f"CREATE OR REPLACE TABLE {identifier(text)} AS FROM {_csv(kinds, delimiter, keep)}", [_unglobbed(path)])
    except duckdb.InvalidInputException:
        return False
    malformed = _malformed(connection, rejects, delimiter, len(columns))
    counts = f"(SELECT count(*) FROM {identifier(text)}), count(DISTINCT line), (SELECT EXISTS (FROM {identifier(text)} WHERE NOT"
    loaded, bad, blank = connection.execute(f"SELECT {counts} {_filled(columns)})) FROM {identifier(rejects)}").fetchall()[0]
    certain = malformed is not None and loaded + bad + len(blank_lines) + 1 == lines
    if malformed and certain:
        connection.execute(
            f"INSERT INTO {identifier(into + '_malformed')} SELECT unnest($1), unnest($2), unnest($3)",
            [[row for row, _, _ in malformed], [fields[0] for _, fields, _ in malformed], [rule for _, _, rule in malformed]],
        )
    if certain:
        source = f"(SELECT *, rowid + 2 AS _row FROM {identifier(text)})"
        if bad or blank_lines:
            source = _around_gaps(connection, text, rejects, blank_lines, f"{into}__gaps")
        _publish(connection, declared, into, columns, source, kind="VIEW", blank=blank)
    connection.execute(f"DROP TABLE {identifier(rejects)}; DROP TABLE {identifier(scans)}")
    if not certain:
        connection.execute(f"DROP TABLE {identifier(text)}")
    return certain


def _malformed(connection: duckdb.DuckDBPyConnection, rejects: str, delimiter: str, width: int) -> list[Record] | None:
    """What is wrong with the records that DuckDB rejected; None if Python might have seen them otherwise, or they are very many."""
    found = connection.execute(
        "SELECT line, any_value(csv_line), bool_and(error_type IN ('MISSING COLUMNS', 'TOO MANY COLUMNS')) "
        f"FROM {identifier(rejects)} GROUP BY line ORDER BY line LIMIT {_REJECTS + 1}"
    ).fetchall()
    if len(found) > _REJECTS or not all(simple for _, _, simple in found):
        return None
    texts = [text.strip("\r\n") for _, text, _ in found]
    try:
        records = list(csv.reader(texts, delimiter=delimiter, strict=True, skipinitialspace=True))
    except csv.Error:
        return None
    if len(records) != len(texts):
        return None
    judged = [_judged(row, fields, text, width) for (row, _, _), fields, text in zip(found, records, texts, strict=True)]
    if any(record and not record[2] for record in judged):
        return None
    return [record for record in judged if record]


def _judged(row: int, fields: list[str], text: str, width: int) -> Record | None:
    """A record as it counts: None if it is blank; empty cells after the last column are none; other cells there spoil it."""
    while len(fields) > width and not fields[-1].strip():
        fields.pop()
    if len(fields) == width:
        return (row, fields, "") if any(fields) else None
    return (row, [text], f"must have {width} fields, has {len(fields)}") if any(field.strip() for field in fields) else None


def _around_gaps(connection: duckdb.DuckDBPyConnection, text: str, rejects: str, blank: list[int], gaps: str) -> str:
    """A SELECT of loaded rows with the `_row` they had among the rejected records and blank lines.

    The n-th line that gave no row, number m, has m - 1 - n loaded rows before it: those from there on are n rows further down. Blocks of
    64 rows say how many came before and which are inside, since copying or sorting millions of rows to number them takes seconds.
    """
    connection.execute(
        f"""
        CREATE OR REPLACE TABLE {identifier(gaps)} AS
        WITH gap AS (
            SELECT line - 1 - row_number() OVER (ORDER BY line) AS place
            FROM (SELECT line FROM {identifier(rejects)} UNION SELECT unnest($1::BIGINT[]))
        ), block AS (
            SELECT place >> 6 AS block, list(place) AS inside FROM gap GROUP BY ALL
        )
        SELECT n.block, coalesce(b.inside, []) AS inside,
            coalesce(sum(len(b.inside)) OVER (ORDER BY n.block ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)::BIGINT AS before
        FROM range((SELECT count(*) FROM {identifier(text)}) // 64 + 1) n(block) LEFT JOIN block b USING (block)
        """,
        [blank],
    )
    number = "t.rowid + 2 + g.before + CASE WHEN len(g.inside) = 0 THEN 0 ELSE len(list_filter(g.inside, lambda p: p <= t.rowid)) END"
    return f"(SELECT t.*, {number} AS _row FROM {identifier(text)} t JOIN {identifier(gaps)} g ON g.block = t.rowid >> 6)"


def _csv_records(path: Path, delimiter: str, width: int) -> Iterator[Record]:
    """The records of a CSV with their row numbers, header and blank records left out."""
    last = ""
    with path.open(encoding="utf-8-sig", newline="") as file:

        def remembered(line: str) -> str:
            nonlocal last
            last = line
            return line

        reader = csv.reader(map(remembered, file), delimiter=delimiter, strict=True, skipinitialspace=True)
        header = True
        for row in itertools.count(1):
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if "unexpected end" in str(error):
                    raise _unreadable(path, f"row {row}: a quotation mark opens a cell and none closes it") from error
                yield row, [last.strip("\r\n")], f"must be a record of CSV: {error}"
                continue
            record = None if header else _judged(row, fields, last.strip("\r\n"), width)
            if record:
                yield record
            header = header and not any(field.strip() for field in fields)


def _load_records(
    connection: duckdb.DuckDBPyConnection,
    declared: Input,
    path: Path,
    into: str,
    columns: list[str],
    records: Iterable[Record],
    scratch: Path,
) -> None:
    """Load records that Python has read, by way of a CSV of our own making."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    try:
        good, bad = folder / "records.csv", folder / "malformed.csv"
        with good.open("w", encoding="utf-8", newline="") as file, bad.open("w", encoding="utf-8", newline="") as other:
            write = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow
            reject = csv.writer(other, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow
            write(["_row", *columns])
            reject(["_row", "value", "rule"])
            rows = 0
            for row, fields, rule in records:
                if rule:
                    reject([row, fields[0], rule])
                    continue
                write([row, *fields])
                rows += 1
                if rows > declared.max_rows:
                    raise _too_many(declared, path, "more")
        kinds = {"_row": "BIGINT", **dict.fromkeys(columns, "VARCHAR")}
        _publish(connection, declared, into, columns, _csv(kinds, ",", "parallel=false"), [_unglobbed(good)])
        source = _csv({"_row": "BIGINT", "value": "VARCHAR", "rule": "VARCHAR"}, ",", "parallel=false")
        connection.execute(f"INSERT INTO {identifier(into + '_malformed')} FROM {source}", [_unglobbed(bad)])
    except duckdb.InvalidInputException as error:
        raise _unreadable(path, f"a record is too long: {str(error).splitlines()[0]}", "A row may have 2 MB") from error
    finally:
        shutil.rmtree(folder)


def _read_parquet(connection: duckdb.DuckDBPyConnection, declared: Input, path: Path, into: str, scratch: Path) -> None:
    name = _unglobbed(path)
    try:
        footer = (
            "SELECT sum(rows), sum(bytes) FROM (SELECT row_group_id, max(row_group_num_rows) AS rows, sum(total_uncompressed_size) AS bytes"
        )
        rows, size = connection.execute(f"{footer} FROM parquet_metadata(?) GROUP BY row_group_id)", [name]).fetchall()[0]
        if (rows or 0) > declared.max_rows:
            raise _too_many(declared, path, f"{rows:,}")
        _check_expansion(path, size or 0)
        source = "read_parquet(?, file_row_number=true, binary_as_string=true, hive_partitioning=false)"
        found = [(n, k) for n, k, *_ in connection.execute(f"DESCRIBE FROM {source}", [name]).fetchall() if n != "file_row_number"]
        columns = _match(declared, path, [column for column, _ in found])
        texts = {}
        for column, (spelled, kind) in zip(columns, found, strict=True):
            if kind.endswith("]") or kind.startswith(_NESTED):
                raise _unreadable(path, f"column {column} is nested ({kind})", "Give one plain value per column")
            value = identifier(spelled)
            utc = kind == "TIMESTAMP WITH TIME ZONE"
            texts[column] = f"make_timestamp(epoch_us({value}))::VARCHAR || '+00'" if utc else f"CAST({value} AS VARCHAR)"
        select = ", ".join(f"{text} AS {identifier(column)}" for column, text in texts.items())
        _publish(connection, declared, into, columns, f"(SELECT file_row_number + 1 AS _row, {select} FROM {source})", [name])
    except (duckdb.OutOfMemoryException, duckdb.InterruptException, duckdb.PermissionException):
        raise
    except duckdb.Error as error:
        raise _unreadable(path, f"it is no whole Parquet file: {str(error).splitlines()[0]}") from error


def _read_json(connection: duckdb.DuckDBPyConnection, declared: Input, path: Path, into: str, scratch: Path) -> None:
    """One object per record. Numbers keep their text, so that 1.10 or 20 digits arrive as they were written."""
    data = path.read_bytes()
    known = {_plain(column.name): i for i, column in enumerate(declared.columns)}
    names: dict[str, str] = {}

    def records(objects: list[msgspec.Raw]) -> Iterator[Record]:
        decode = msgspec.json.Decoder(float_hook=str).decode
        for row, raw in enumerate(objects, 1):
            value = decode(raw)
            if not isinstance(value, dict):
                yield row, [str(value)], "must be an object"
                continue
            fields: dict[int, str | None] = {}
            nested = ""
            for name, cell in value.items():
                plain = names.get(name) or names.setdefault(name, _plain(name))
                nested = name if isinstance(cell, (dict, list)) else nested
                if plain in known:
                    fields[known[plain]] = _as_text(cell)
            if len(fields) < len(value):
                _match(declared, path, list(value))  # says which column is unknown or doubled
            yield (
                (row, [bytes(raw).decode()], f"{nested} must be one plain value")
                if nested
                else (row, [fields.get(i) for i in range(len(known))], "")
            )

    try:
        if not data.strip() and path.suffix.lower() == ".json":
            raise _unreadable(path, "it is empty", "An input without rows is []")
        array = data.lstrip()[:1] == b"["
        objects = msgspec.json.decode(data, type=list[msgspec.Raw]) if array else msgspec.json.Decoder(msgspec.Raw).decode_lines(data)
        columns = [column.name for column in declared.columns]
        _load_records(connection, declared, path, into, columns, records(objects), scratch)
    except (msgspec.DecodeError, RecursionError) as error:
        data.decode()  # says that text is not UTF-8 better than JSON does
        raise _unreadable(path, f"it is no JSON of objects, in an array or one per line: {error}") from error
    if objects:
        _match(declared, path, list(dict.fromkeys(names.values())))


def _read_xlsx(connection: duckdb.DuckDBPyConnection, declared: Input, path: Path, into: str, scratch: Path) -> None:
    """The first sheet, with the values that formulas had when it was saved, and 15 digits of a number: what Excel itself shows."""
    import openpyxl  # noqa: PLC0415  takes longer to import than most runs take

    book = None
    try:
        with zipfile.ZipFile(path) as directory:
            _check_expansion(path, sum(part.file_size for part in directory.infolist()))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and validations that nobody asked for
            book = openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
            sheet = book.worksheets[0]
            sheet.reset_dimensions()
            rows = _sheet_rows(path, sheet.iter_rows(values_only=True))
            header = next(rows, (0, []))[1]
            if not header:
                raise _unreadable(path, "its first sheet is empty: there is no header", "The first row must name the columns")
            columns = _match(declared, path, [name or "" for name in header])
            _load_records(connection, declared, path, into, columns, _sheet_records(rows, len(columns)), scratch)
    except (ForebayError, duckdb.Error, OSError):
        raise
    except Exception as error:  # a damaged workbook makes openpyxl raise nearly anything
        raise _unreadable(path, f"it is no whole XLSX workbook: {error}") from error
    finally:
        if book is not None:
            book.close()


def _sheet_rows(path: Path, rows: Iterable[Sequence[object]]) -> Iterator[tuple[int, list[str | None]]]:
    """The rows of a sheet that have any value, as text, without the empty cells at their end."""
    for row, values in enumerate(rows, 1):
        if row > _SPREADSHEET_ROWS:
            raise _unreadable(path, f"it claims more than {_SPREADSHEET_ROWS:,} rows")
        fields = [_as_text(value) for value in values]
        while fields and not fields[-1]:
            fields.pop()
        if fields:
            yield row, fields


def _sheet_records(rows: Iterable[tuple[int, list[str | None]]], width: int) -> Iterator[Record]:
    for row, fields in rows:
        text = ", ".join(field or "" for field in fields)
        record = _judged(row, [field or "" for field in fields] + [""] * (width - len(fields)), text, width)
        if record:
            yield record


def _as_text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return format(value, ".15g")
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(" ")
    return value.isoformat() if isinstance(value, (datetime.date, datetime.time)) else str(value)


def _publish(
    connection: duckdb.DuckDBPyConnection,
    declared: Input,
    into: str,
    columns: Sequence[str],
    source: str,
    bound: list[str] | None = None,
    *,
    kind: str = "TABLE",
    blank: bool = True,
) -> None:
    """Give `source` the shape that was promised: `_row`, every declared column, no blank records (where there may be any)."""
    texts = ", ".join(f"{identifier(c.name) if c.name in columns else 'NULL::VARCHAR'} AS {identifier(c.name)}" for c in declared.columns)
    where = f"WHERE {_filled(columns)}" if blank else ""
    connection.execute(f"CREATE {kind} {identifier(into)} AS SELECT _row, {texts} FROM {source} {where}", bound)


def _filled(columns: Sequence[str]) -> str:
    return f"coalesce({', '.join(map(identifier, columns))}) IS NOT NULL"


def _csv(columns: dict[str, str], delimiter: str, more: str) -> str:
    """A table function for a bound path, told everything, so that it guesses nothing."""
    typed = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in columns.items())
    return (
        f"read_csv(?, auto_detect=false, columns={{{typed}}}, header=true, delim={literal(delimiter)}, quote='\"', escape='\"', "
        f"strict_mode=true, hive_partitioning=false, {more})"
    )


def _check_expansion(path: Path, expanded: int) -> None:
    size = path.stat().st_size
    if expanded > max(_EXPANDED_FREELY, min(_EXPANDED, 100 * size)):
        what = f"its {size:,} bytes claim to expand to {expanded:,}"
        raise _unreadable(path, what, "If the data are real, give them as plain CSV")


def _unglobbed(path: Path) -> str:
    """A path that DuckDB reads as this one file, although it takes *, ? and [ for patterns."""
    return re.sub(r"[*?[]", r"[\g<0>]", str(path))


def _plain(name: str) -> str:
    return name.strip().casefold()


def _too_many(declared: Input, path: Path, rows: str) -> ForebayError:
    what = f"{rows} rows where at most {declared.max_rows:,} are allowed"
    return ForebayError("input.too_many_rows", what, where=path.name, advice=f"Split the file, or raise max_rows of input {declared.name}")


def _unreadable(path: Path, what: str, advice: str = "Check that the whole file arrived, and save it again") -> ForebayError:
    return ForebayError("input.unreadable", what, where=path.name, advice=advice)


def _not_utf8(path: Path) -> ForebayError:
    number = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):  # noqa: B007  the number is what is wanted
            try:
                line.decode()
            except UnicodeDecodeError:
                break
    advice = "Save it as CSV UTF-8 (in Excel: Save as, CSV UTF-8)"
    return ForebayError("input.encoding", "the text is not UTF-8", where=f"{path.name}, line {number}", advice=advice)
