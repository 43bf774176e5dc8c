"""CSV is read by DuckDB in parallel if that is certain to be exact, else by Python, some five times slower, which numbers as it goes.

It is certain if lines = header + blank lines + rows loaded + records rejected, which means that no cell has several lines and no
record is lost. DuckDB's sniffer is never asked, since it can take a header for data, or 007 for a number.
"""

from __future__ import annotations

import csv
import itertools
import mmap
from collections.abc import Iterator
from pathlib import Path

from duckdb import InvalidInputException

from forebay.engines import duckdb
from forebay.engines.duckdb import literal, quoted
from forebay.project.project import Input
from forebay.run.upload import Record, csv_source, filled, folded, judged, load_records, match, publish, unreadable

_DELIMITERS = ",;\t|"
_CHUNK = 1 << 24
_PLAIN = bytes(set(range(256)) - set(b'"\n'))
_REJECTS = 100_000
"""More records than these that DuckDB rejects are left to Python, which does not keep them in memory."""


def read_csv(connection: duckdb.Connection, declared: Input, path: Path, into: str, scratch: Path) -> None:
    """Publish a CSV as relation `into`, its malformed records apart."""
    delimiter, names, first = _header(declared, path)
    columns = match(declared, path, names)
    if not _load_lines(connection, declared, path, into, delimiter, columns, _lines(path) if first == 1 else None):
        load_records(connection, declared, path, into, columns, _records(path, delimiter, len(columns)), scratch)


def _header(declared: Input, path: Path) -> tuple[str, list[str], int]:
    """The delimiter by which the header names most declared columns, the names, and the line at which the header ends."""
    known = {folded(column.name) for column in declared.columns}
    best: tuple[int, int] | None = None
    found = (",", [""], 0)
    for delimiter in _DELIMITERS:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
            try:
                names = next((fields for fields in reader if any(field.strip() for field in fields)), None)
            except csv.Error as error:
                raise unreadable(path, f"its header cannot be read: {error}") from error
            if names is None:
                raise unreadable(path, "it is empty: there is no header", "The first row must name the columns")
            while not names[-1].strip():
                names.pop()
            score = (len(known & set(map(folded, names))), len(names) if len(names) > 1 else 0)
            if best is None or score > best:
                best, found = score, (delimiter, names, reader.line_num)
    return found


def _lines(path: Path) -> tuple[int, list[int]] | None:
    """How many lines a file has up to its last non-blank one, and which are blank; None if lines are not records: a quote spans some."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        end = len(data)
        while end and data[end - 1] in b"\r\n":
            end -= 1
        quotes = data.find(b'"', 0, end) >= 0
        lines, blank, at = 0, list[int](), 0
        while at < end:
            after = data.find(b"\n", at + _CHUNK, end) + 1 or end
            chunk = data[at:after]
            # With the quotes that close on their line gone, any that is left spans lines.
            if quotes and b'"' in chunk.translate(None, _PLAIN).replace(b'""', b""):
                return None
            if chunk.startswith((b"\n", b"\r\n")) or b"\n\n" in chunk or b"\n\r\n" in chunk:
                blank += [n for n, line in enumerate(chunk.split(b"\n")[:-1], lines + 1) if line in (b"", b"\r")]
            lines += chunk.count(b"\n")
            at = after
        return lines + 1, blank


def _load_lines(
    connection: duckdb.Connection,
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
        connection.execute(
            f"CREATE OR REPLACE TABLE {quoted(text)} AS FROM {csv_source(kinds, delimiter, keep)}", [duckdb.plain(str(path))]
        )
    except InvalidInputException:
        return False
    malformed = _malformed(connection, rejects, delimiter, len(columns))
    counts = f"(SELECT count(*) FROM {quoted(text)}), count(DISTINCT line), (SELECT EXISTS (FROM {quoted(text)} WHERE NOT"
    loaded, bad, blank = connection.execute(f"SELECT {counts} {filled(columns)})) FROM {quoted(rejects)}").fetchall()[0]
    certain = malformed is not None and loaded + bad + len(blank_lines) + 1 == lines
    if malformed and certain:
        connection.execute(
            f"INSERT INTO {quoted(into + '_malformed')} SELECT unnest($1), unnest($2), unnest($3)",
            [[row for row, _, _ in malformed], [fields[0] for _, fields, _ in malformed], [rule for _, _, rule in malformed]],
        )
    if certain:
        source = f"(SELECT *, rowid + 2 AS _row FROM {quoted(text)})"
        if bad or blank_lines:
            source = _around_gaps(connection, text, rejects, blank_lines, f"{into}__gaps")
        publish(connection, declared, into, columns, source, kind="VIEW", blank=blank)
    connection.execute(f"DROP TABLE {quoted(rejects)}; DROP TABLE {quoted(scans)}")
    if not certain:
        connection.execute(f"DROP TABLE {quoted(text)}")
    return certain


def _malformed(connection: duckdb.Connection, rejects: str, delimiter: str, width: int) -> list[Record] | None:
    """What is wrong with the records that DuckDB rejected; None if Python might have seen them otherwise, or they are very many."""
    found = connection.execute(
        "SELECT line, any_value(csv_line), bool_and(error_type IN ('MISSING COLUMNS', 'TOO MANY COLUMNS')) "
        f"FROM {quoted(rejects)} GROUP BY line ORDER BY line LIMIT {_REJECTS + 1}"
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
    verdicts = [judged(row, fields, text, width) for (row, _, _), fields, text in zip(found, records, texts, strict=True)]
    if any(record and not record[2] for record in verdicts):
        return None
    return [record for record in verdicts if record]


def _around_gaps(connection: duckdb.Connection, text: str, rejects: str, blank: list[int], gaps: str) -> str:
    """A SELECT of loaded rows with the `_row` they had among the rejected records and blank lines.

    The n-th line that gave no row, number m, has m - 1 - n loaded rows before it: those from there on are n rows further down. Blocks of
    64 rows say how many came before and which are inside, since copying or sorting millions of rows to number them takes seconds.
    """
    connection.execute(
        f"""
        CREATE OR REPLACE TABLE {quoted(gaps)} AS
        WITH gap AS (
            SELECT line - 1 - row_number() OVER (ORDER BY line) AS place
            FROM (SELECT line FROM {quoted(rejects)} UNION SELECT unnest($1::BIGINT[]))
        ), block AS (
            SELECT place >> 6 AS block, list(place) AS inside FROM gap GROUP BY ALL
        )
        SELECT n.block, coalesce(b.inside, []) AS inside,
            coalesce(sum(len(b.inside)) OVER (ORDER BY n.block ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)::BIGINT AS before
        FROM range((SELECT count(*) FROM {quoted(text)}) // 64 + 1) n(block) LEFT JOIN block b USING (block)
        """,
        [blank],
    )
    number = "t.rowid + 2 + g.before + CASE WHEN len(g.inside) = 0 THEN 0 ELSE len(list_filter(g.inside, lambda p: p <= t.rowid)) END"
    return f"(SELECT t.*, {number} AS _row FROM {quoted(text)} t JOIN {quoted(gaps)} g ON g.block = t.rowid >> 6)"


def _records(path: Path, delimiter: str, width: int) -> Iterator[Record]:
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
                    raise unreadable(path, f"row {row}: a quotation mark opens a cell and none closes it") from error
                yield row, [last.strip("\r\n")], f"must be a record of CSV: {error}"
                continue
            record = None if header else judged(row, fields, last.strip("\r\n"), width)
            if record:
                yield record
            header = header and not any(field.strip() for field in fields)
