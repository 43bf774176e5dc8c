"""What a source's files hold: the columns and rows of each, and from them the columns of the source.

Each file is opened once: what was found in it is kept with the edition, by content. Types that were found are pinned: a new file is read
by them, and what does not fit is an error that names file and column, or widens the type where no value can change.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from forebay.config import Document
from forebay.engines import duckdb, relation
from forebay.errors import ForebayError, Problems, nearest
from forebay.project.edition import File, Skipped, SourceVersion, is_tabbed
from forebay.project.project import Column, Source
from forebay.project.reading import Part, Reading, partition
from forebay.refresh import fault
from forebay.refresh.drift import EMPTY, INTEGERS, common
from forebay.refresh.fault import BadFiles

T = TypeVar("T")
Layout = tuple[Column, ...]
_Key = tuple[str, bool]
"""A content, and whether it is read as text with tabs."""
_FILE = "forebay file"
_NUMBERS = INTEGERS | {"FLOAT", "DOUBLE"}


class _Other(Exception):  # never seen by a user
    """Text in a column that is not of the type pinned for it."""

    def __init__(self, column: str, path: str, error: ForebayError) -> None:
        self.column, self.path, self.error = column, path, error
        super().__init__(column)


def resolve(
    connection: duckdb.Connection,
    document: Document,
    source: Source,
    files: tuple[File, ...],
    before: SourceVersion | None,
    bad: Mapping[str, ForebayError],
) -> SourceVersion:
    """The version that `files` make up. Raises ForebayError, or Problems, if they cannot be read or have drifted.

    `before` is the version of the current edition. Files that cannot be read are left out if the source says so; `bad` are some by path
    that could not when tables were built from them.
    """
    skipped = _known_bad(source, files, before) if source.on_bad_file == "skip" else {}
    skipped |= {file.path: Skipped(file, e.code, e.what, e.where) for file in files if (e := bad.get(file.path))}
    while True:
        left = tuple(file for file in files if file.path not in skipped)
        try:
            if not left:
                raise Problems(ForebayError(bad.code, bad.what, where=bad.where) for bad in skipped.values())
            version = _Resolver(connection, document, source, left, before).version()
        except BadFiles as found:
            if source.on_bad_file == "fail":
                raise _one(found.errors.values()) from None
            by_path = {file.path: file for file in left}
            skipped |= {path: Skipped(by_path[path], e.code, e.what, e.where) for path, e in found.errors.items()}
            continue
        return msgspec.structs.replace(version, skipped=tuple(skipped[path] for path in sorted(skipped)))


def same_reader(before: SourceVersion | None, source: Source) -> bool:
    """Whether files are read as they were, so that what was found in them holds."""
    return before is not None and (before.source.format, before.source.options) == (source.format, source.options)


def _known_bad(source: Source, files: tuple[File, ...], before: SourceVersion | None) -> dict[str, Skipped]:
    """Files that were bad and have not changed since, under the same declaration."""
    if before is None or not same_reader(before, source) or before.source.columns != source.columns:
        return {}
    bad = {(item.file.path, item.file.sha256): item for item in before.skipped}
    return {file.path: bad[file.path, file.sha256] for file in files if (file.path, file.sha256) in bad}


def _one(errors: Iterable[ForebayError]) -> ForebayError:
    found = tuple(errors)
    return found[0] if len(found) == 1 else Problems(found)


class _Resolver:
    def __init__(
        self,
        connection: duckdb.Connection,
        document: Document,
        source: Source,
        files: tuple[File, ...],
        before: SourceVersion | None,
    ) -> None:
        self.connection, self.document, self.source, self.files = connection, document, source, files
        self.options = {name: value for name, value in source.options.items() if name not in ("hive_partitioning", "union_by_name")}
        self.before = before if same_reader(before, source) else None
        self.found = dict(self.before.found) if self.before else {}
        self.declared = {name.lower(): type_ for name, type_ in source.columns.items()}
        self.contents: dict[_Key, tuple[int, Layout]] = {}
        if self.before is not None:
            known = [file for file in self.before.files if file.layout >= 0 and file.rows >= 0]
            self.contents = {self._key(file): (file.rows, self.before.layouts[file.layout]) for file in known}
        self.fresh = list({self._key(file): file for file in files if self._key(file) not in self.contents}.values())
        self.folders = {file.path: partition(file.path) for file in files} if source.options.get("hive_partitioning") else {}

    def _key(self, file: File) -> _Key:
        return file.sha256, self.source.format == "csv" and is_tabbed(file.path)

    def version(self) -> SourceVersion:
        examine = {"parquet": self._parquet, "csv": self._csv, "json": self._json}[self.source.format]
        text = self.source.format != "parquet" and "compression" not in self.options
        capitals = [file.path for file in self.files if text and _shouted(file.path)]
        if capitals:
            raise BadFiles({path: fault.shouted(self.source, path) for path in capitals})
        try:
            self.contents |= examine() if self.fresh else {}
            types = self._columns()
            if self.source.format != "parquet" and self.fresh:
                self._count(types)
            return self._version(types)
        except duckdb.Error as error:
            raise fault.source_error(self.connection, self.source, self.files, error) from None

    def _version(self, types: dict[str, Column]) -> SourceVersion:
        layouts = {layout: number for number, layout in enumerate(dict.fromkeys(self.contents[self._key(f)][1] for f in self.files))}
        files = []
        for file in self.files:
            rows, layout = self.contents[self._key(file)]
            files.append(msgspec.structs.replace(file, rows=rows, layout=layouts[layout]))
        rows = sum(file.rows for file in files)
        named = self._named(tuple(types.values()))
        return SourceVersion(self.source, tuple(files), named, rows, tuple(layouts), self.found)

    def _named(self, columns: tuple[Column, ...]) -> tuple[Column, ...]:
        """The columns as the engine names their types, once what the source declares about them is seen to bind."""
        source = self.source
        names = [column.name for column in columns]
        for place, wanted in (("key", source.key), ("latest", (source.latest,) if source.latest else ())):
            for number, name in enumerate(wanted):
                if name not in names:
                    path = ("sources", source.name, place, number) if place == "key" else ("sources", source.name, place)
                    what = f"source `{source.name}` has no column `{name}`"
                    raise self.document.error(path, what, nearest(name, names), "project.unknown_column")
        try:
            found = duckdb.describe(self.connection, relation.select(Reading(source.format, {}, columns, ())))
        except duckdb.Error as error:
            text, _ = duckdb.message(error)
            raise self.document.error(("sources", source.name, "columns"), f"source `{source.name}`: {text}", code="project.type") from None
        named = tuple(Column(name, type_) for name, type_ in found.items())
        if source.deleted is not None:
            empty = relation.select(Reading(source.format, {}, named, ()))
            try:
                duckdb.describe(self.connection, f"SELECT * FROM ({empty}) WHERE (\n{source.deleted}\n)")
                (type_,) = duckdb.describe(self.connection, f"SELECT (\n{source.deleted}\n) FROM ({empty})").values()
            except duckdb.Error as error:
                text, _ = duckdb.message(error)
                raise self.document.error(("sources", source.name, "deleted"), f"`deleted`: {text}", code="sql.bind") from None
            if type_ != "BOOLEAN":
                what = f"`deleted` must be true or false for a row; it is {type_}"
                raise self.document.error(("sources", source.name, "deleted"), what, "e.g. deleted: op = 'D'")
        return named

    # What is in the files

    def _batch(self, files: Sequence[File], look: Callable[[list[str]], T]) -> T:
        """`look` at all of the files at once. Raises BadFiles naming each at which it fails on its own."""
        try:
            return look([file.at for file in files])
        except duckdb.Error as error:
            bad = {}
            for file in files:
                try:
                    look([file.at])
                except duckdb.Error as own:
                    bad[file.path] = fault.source_error(self.connection, self.source, [file], own)
            if not bad:
                raise fault.source_error(self.connection, self.source, files, error) from None
            raise BadFiles(bad) from None

    def _parquet(self) -> dict[_Key, tuple[int, Layout]]:
        """From the footers: all at once, then the columns once for each schema that differs."""
        footers = self._batch(self.fresh, lambda paths: duckdb.footers(self.connection, paths))
        layouts: dict[str, Layout] = {}
        found = {}
        for file in self.fresh:
            rows, schema = footers[file.at]
            if schema not in layouts:
                layout = self._batch([file], lambda paths: self._described(f"read_parquet({duckdb.reader(paths, self._alone())})"))
                layouts[schema] = _emptied(layout, duckdb.empty(self.connection, file.at))
            found[self._key(file)] = rows, layouts[schema]
        return found

    def _alone(self, **more: object) -> dict[str, object]:
        """Reader options to look into one file."""
        return {"hive_partitioning": False, **self.options, **more}

    def _described(self, table: str) -> Layout:
        return tuple(Column(name, type_) for name, type_ in duckdb.describe(self.connection, f"SELECT * FROM {table}").items())

    def _csv(self) -> dict[_Key, tuple[int, Layout]]:
        """Names only, once for each header that differs. Rows are counted later, when it is known as what they are read."""
        layouts: dict[object, Layout] = {}
        found, bad = {}, {}
        for file in self.fresh:
            line = self._head(file) if not self.options.keys() & _HEADS else None
            head: object = (line or file.path, is_tabbed(file.path))
            if head not in layouts:
                try:
                    layouts[head] = self._header(file)
                except duckdb.Error as error:
                    bad[file.path] = fault.source_error(self.connection, self.source, [file], error)
                    continue
            if line is not None and not line.strip() and layouts[head]:
                # To find the names the engine skips such lines, but not to read by them: the header would be a row.
                bad[file.path] = fault.headless(self.source, file.path)
            found[self._key(file)] = -1, layouts[head]
        if bad:
            raise BadFiles(bad)
        return found

    def _header(self, file: File) -> Layout:
        if file.size == 0:
            return ()
        options = self._alone(**{**duckdb.dialect([file.at]), **self.options}, all_varchar=True)
        try:
            described = self._described(f"read_csv({duckdb.reader([file.at], options)})")
        except duckdb.Error:
            if self._blank(file):
                return ()
            raise
        # The engine makes a name up where there is none.
        return () if described == (Column("column0", "VARCHAR"),) and self._blank(file) else tuple(Column(c.name, "") for c in described)

    def _blank(self, file: File) -> bool:
        """Whether a CSV file holds nothing but line ends, if that can be told."""
        try:
            return not self.connection.execute(f"{self._lines(file)} WHERE trim(line) <> '' LIMIT 1").fetchall()
        except duckdb.Error:
            return False

    def _lines(self, file: File) -> str:
        """A SELECT of a text file's lines."""
        given = {name: value for name, value in self.options.items() if name in ("compression", "encoding", "skip", "comment")}
        lines = {
            "auto_detect": False, "strict_mode": False, "header": False, "delim": "\x01", "quote": "", "escape": "",
            "columns": {"line": "VARCHAR"},
        }  # fmt: skip
        return f"SELECT line FROM read_csv({duckdb.reader([file.at], {'hive_partitioning': False, **given, **lines})})"

    def _head(self, file: File) -> bytes | None:
        """The header line of a text file, if it is certain where that ends."""
        try:
            if file.at.endswith(".zst"):
                found = self.connection.execute(f"{self._lines(file)} LIMIT 1").fetchone()
                line = b"" if found is None else (found[0] or "").encode() + b"\n"
            else:
                with gzip.open(file.at) if file.at.endswith(".gz") else Path(file.at).open("rb") as opened:
                    line = opened.readline(1 << 16)
        except (OSError, EOFError, zlib.error, duckdb.Error):
            return None
        return line.rstrip(b"\r\n") if line.endswith(b"\n") and line.count(b'"') % 2 == 0 else None

    def _json(self) -> dict[_Key, tuple[int, Layout]]:
        """What is in the new files together: a name that one of them lacks is no value there."""
        options = self._alone(union_by_name=True, sample_size=-1)
        filled = [file for file in self.fresh if file.size]
        layout: Layout = ()
        if filled:
            layout = self._batch(filled, lambda paths: self._described(f"read_json({duckdb.reader(paths, options)})"))
            if layout == (Column("json", "JSON"),) and not self._batch(filled, self._any_json):
                layout = ()
            layout = _emptied(layout, self._valueless(filled, tuple(column for column in layout if column.type == "JSON")))
        found = {self._key(file): (-1, layout if file.size else ()) for file in self.fresh}
        self._spelled_alike(self.contents | found)
        return found

    def _any_json(self, paths: list[str]) -> bool:
        options = self._alone(columns={"json": "JSON"})
        return bool(self.connection.execute(f"SELECT 1 FROM read_json({duckdb.reader(paths, options)}) LIMIT 1").fetchall())

    def _valueless(self, files: Sequence[File], columns: Layout) -> set[str]:
        """Which of the columns that the engine calls JSON are so for lack of values, and not for values of several kinds."""
        if not columns:
            return set()
        part = Part(tuple(file.at for file in files), columns)
        table = relation.table("json", self.options, part, {column.name.lower(): "JSON" for column in columns})
        counts = ", ".join(f"count({duckdb.quoted(column.name)})" for column in columns)
        (counted,) = self.connection.execute(f"SELECT {counts} FROM {table}").fetchall()
        return {column.name for column, number in zip(columns, counted, strict=True) if not number}

    def _spelled_alike(self, contents: Mapping[_Key, tuple[int, Layout]]) -> None:
        """Raises BadFiles for names that differ by case only, and for empty ones. SQL takes the former for one, and has no way to write
        the latter; the engine would make a name up, by which no file has a value."""
        names = {column.name for file in self.files for column in contents[self._key(file)][1]}
        lower = {name.lower() for name in names}
        alike = any(base not in names and base.lower() in lower for name in names for base in _bases(name))
        nameless = any(re.fullmatch(r"C\d+", base) for name in names for base in (name, *_bases(name)))
        if len(lower) == len(names) and not alike and not nameless:
            return
        # Rare, and only the files themselves tell a made up name from one that looks like it.
        options = {name: value for name, value in self.options.items() if name in ("format", "compression", "maximum_object_size")}
        fresh = {file.path for file in self.fresh}
        files = sorted((file for file in self.files if contents[self._key(file)][1]), key=lambda file: (file.path in fresh, file.path))
        keys = "SELECT DISTINCT {0}, unnest(json_keys(json)) FROM read_json_objects({1})"
        given = duckdb.reader([file.at for file in files], {"hive_partitioning": False, **options, "filename": _FILE})
        held: dict[str, list[str]] = {}
        for at, name in self.connection.execute(keys.format(duckdb.quoted(_FILE), given)).fetchall():
            held.setdefault(at, []).append(name)
        spelled: dict[str, str] = {}
        bad = {}
        for file in files:
            own: dict[str, str] = {}
            for name in sorted(held.get(file.at, ())):
                if not name:
                    bad[file.path] = fault.nameless(self.source, file.path)
                was = spelled.get(name.lower(), own.setdefault(name.lower(), name))
                if was != name:
                    bad[file.path] = fault.spelled(self.source, was, name, file.path)
            spelled |= {} if file.path in bad else own
        if bad:
            raise BadFiles(bad)

    # The source's columns

    def _columns(self) -> dict[str, Column]:
        """The columns by name in lower case, in order: those that the source had, then new ones, then those of new folders."""
        held: dict[str, Column] = {}
        for layout in dict.fromkeys(self.contents[self._key(file)][1] for file in self.files):
            for column in layout:
                held.setdefault(column.name.lower(), column)
        keys = {name.lower(): Column(name, "") for path in self.folders for name in self.folders[path]}
        accept = self.source.drift == "accept"
        names: dict[str, str] = {}
        for column in self.before.columns if self.before else ():
            if not accept or column.name.lower() in held or column.name.lower() in keys:
                names[column.name.lower()] = column.name
        for column in [*held.values(), *(keys[name] for name in sorted(keys))]:
            names.setdefault(column.name.lower(), column.name)
        if not names:
            raise BadFiles({
                file.path: ForebayError(
                    "source.unreadable", f"source `{self.source.name}`: the file is empty, and no other one tells its columns",
                    where=file.path, advice="Replace the file",
                ) for file in self.files
            })  # fmt: skip
        for name in self.source.columns:
            if name.lower() not in names:
                what = f"source `{self.source.name}` has no column `{name}`"
                path = ("sources", self.source.name, "columns", name)
                raise self.document.error(path, what, nearest(name, list(names.values())), "project.unknown_column")
        if not accept:
            self._lost()
        pinned = self._pinned()
        text = {"parquet": self._held_types, "json": self._json_types, "csv": self._csv_types}[self.source.format]
        types = {**text(pinned, accept), **self._folder_types(pinned, accept), **self.declared}
        return {lower: Column(name, types.get(lower, pinned.get(lower, "VARCHAR"))) for lower, name in names.items()}

    def _pinned(self) -> dict[str, str]:
        """Types found earlier. What was declared then, and is no more, is found anew, and so is what had no value yet."""
        if self.before is None:
            return {}
        unknown = {name.lower() for name in self.before.source.columns} | self.declared.keys()
        held: dict[str, set[str]] = {}
        for column in (column for layout in self.before.layouts for column in layout):
            held.setdefault(column.name.lower(), set()).add(column.type)
        empty = {name for name, types in held.items() if types <= EMPTY}
        unknown |= {c.name.lower() for c in self.before.columns if c.name.lower() in empty and c.type == _UNTYPED.get(self.source.format)}
        return {column.name.lower(): column.type for column in self.before.columns if column.name.lower() not in unknown}

    def _new(self) -> list[File]:
        """Files whose content the version before did not have, with all that they hold known by now."""
        had = {self._key(file) for file in self.before.files} if self.before else set()
        return [file for file in self.files if self._key(file) not in had]

    def _lost(self) -> None:
        """Raises ForebayError if a new file lacks a column that the source has, or that the author gives a type."""
        problems = []
        new = self._new()
        had = {column.name.lower(): column.name for column in self.before.columns} if self.before else {}
        wanted = had if self.source.options.get("union_by_name") else {**{name.lower(): name for name in self.source.columns}, **had}
        if self.source.format == "csv" and wanted:
            problems += [fault.emptied(self.source, file.path) for file in new if not self.contents[self._key(file)][1]]
            new = [file for file in new if self.contents[self._key(file)][1]]
        for lower, name in wanted.items():
            if self.source.format == "json":
                # What one JSON file lacks is no value there, as long as another one has it.
                lacking = [] if any(lower in self._names(file) for file in self.files) else new
            else:
                lacking = [file for file in new if lower not in self._names(file)]
            if lacking:
                problems.append(fault.lost(self.source, name, lacking[0].path, declared=lower not in had))
        if problems:
            raise _one(problems)

    def _names(self, file: File) -> set[str]:
        layout = self.contents[self._key(file)][1]
        folders = {name.lower() for name in self.folders.get(file.path, ())}
        return {column.name.lower() for column in layout} | folders

    def _held_types(self, pinned: dict[str, str], accept: bool) -> dict[str, str]:
        """Parquet: the files say it. Wider where no value changes by it."""
        types = {} if accept else dict(pinned)
        problems: dict[str, ForebayError] = {}
        for layout, file in self._layouts().items():
            for column in layout:
                name = column.name.lower()
                if name in self.declared:
                    continue
                wider = common(types[name], column.type) if name in types else column.type
                if wider is None and accept:
                    wider = "VARCHAR"
                if wider is None:
                    problems.setdefault(name, fault.retyped(self.source, column.name, types[name], column.type, file.path))
                else:
                    types[name] = wider
        if problems:
            raise _one(problems.values())
        return {name: _UNTYPED["parquet"] if type_ in EMPTY else type_ for name, type_ in types.items()}

    def _layouts(self) -> dict[Layout, File]:
        """Every layout, and the first file that has it; those of known files first."""
        new = {file.path for file in self.fresh}
        ordered = sorted(self.files, key=lambda file: (file.path in new, file.path))
        return _first((self.contents[self._key(file)][1], file) for file in ordered)

    def _json_types(self, pinned: dict[str, str], accept: bool) -> dict[str, str]:
        """JSON: a type found in the new files must be one whose values the pinned type takes as they are; parsing shows the rest."""
        types = {} if accept else dict(pinned)
        problems: dict[str, ForebayError] = {}
        for layout, file in self._layouts().items():
            for column in layout:
                name, is_ = column.name.lower(), column.type
                was = types.get(name)
                if name in self.declared or is_ in EMPTY or (was is not None and (was in ("VARCHAR", "JSON") or is_ == "JSON")):
                    continue
                if was is None or (accept and was != is_):
                    types[name] = is_ if was is None else common(was, is_) or ("DOUBLE" if {was, is_} <= _NUMBERS else "JSON")
                elif common(was, is_) != was and not (was in ("FLOAT", "DOUBLE") and is_ in _NUMBERS):
                    problems.setdefault(name, fault.retyped(self.source, column.name, was, is_, file.path))
        if problems:
            raise _one(problems.values())
        return {column.name.lower(): _UNTYPED["json"] for layout in self._layouts() for column in layout if column.type in EMPTY} | types

    def _csv_types(self, pinned: dict[str, str], accept: bool) -> dict[str, str]:
        """CSV: pinned types; the others as the engine finds them in the first files of a layout. The dates' format is pinned too."""
        types = dict(pinned)
        new = self._new()
        for layout in self._layouts():
            wanted = [column for column in layout if column.name.lower() not in self.declared]
            unknown = [column for column in wanted if accept or column.name.lower() not in pinned]
            if unknown:
                fresh = [file for file in new if self.contents[self._key(file)][1] == layout]
                every = [file for file in self.files if self.contents[self._key(file)][1] == layout]
                files = fresh if accept and pinned else every
                if not files:
                    continue
                # One dialect at a time.
                files = [file for file in files if is_tabbed(file.path) == is_tabbed(files[0].path)][:10]
                for name, type_ in self._sniffed(files, layout, {} if accept else types).items():
                    if name in {column.name.lower() for column in unknown}:
                        types[name] = _joined(types[name], type_) if name in types else type_
        self._dates({**types, **self.declared})
        return types

    def _sniffed(self, files: list[File], layout: Layout, types: Mapping[str, str]) -> dict[str, str]:
        known = {**types, **self.declared}
        given = {column.name: known[column.name.lower()] for column in layout if column.name.lower() in known}
        paths = [file.at for file in files]
        options = self._alone(**{**duckdb.dialect(paths), **self.options, **self.found}, **({"types": given} if given else {}))
        try:
            found = self._described(f"read_csv({duckdb.reader(paths, options)})")
        except duckdb.Error as error:
            errors = {
                file.path: fault.source_error(self.connection, self.source, [file], error) for file in files
                if duckdb.fault(self.connection, file.at, "csv", self.source.options, self.source.columns)
            }  # fmt: skip
            if errors:
                raise BadFiles(errors) from None
            raise
        return {column.name.lower(): column.type for column in found}

    def _dates(self, types: Mapping[str, str]) -> None:
        """Pin how dates are written where that is not ISO: 01/02 alone would be read as another day than beside 12/31."""
        wanted = {
            option: type_ for type_, option in _FORMATTED.items()
            if option not in self.options and option not in self.found and any(t.upper() == type_ for t in types.values())
        }  # fmt: skip
        for layout, file in self._layouts().items() if wanted else ():
            given = {column.name: types[column.name.lower()] for column in layout if column.name.lower() in types}
            if not any(type_.upper() in wanted.values() for type_ in given.values()):
                continue
            options = {**duckdb.dialect([file.at]), **self.options, "types": given}
            try:
                found = self.connection.execute(
                    f"SELECT DateFormat, TimestampFormat FROM sniff_csv({duckdb.literal(duckdb.plain(file.at))}, {duckdb.named(options)})"
                ).fetchall()[0]
            except duckdb.Error:
                # Reading it will tell.
                continue
            for option, written in zip(("dateformat", "timestampformat"), found, strict=True):
                if option in wanted and written and not str(written).startswith("%Y-%m-%d"):
                    self.found.setdefault(option, str(written))

    def _folder_types(self, pinned: dict[str, str], accept: bool) -> dict[str, str]:
        """Of columns that folders make. Each value must be one of the type, written as the engine would, or its file is named."""
        values: dict[str, dict[str, str]] = {}
        for path, pairs in self.folders.items():
            for name, value in pairs.items():
                values.setdefault(name.lower(), {}).setdefault(value, path)
        types: dict[str, str] = {}
        for name, found in values.items():
            if name in self.declared:
                continue
            type_ = _type_of(found)
            if name in pinned and not accept:
                for value, path in found.items():
                    text = duckdb.literal(value)
                    fits = f"CAST(TRY_CAST({text} AS {pinned[name]}) AS VARCHAR) IS NOT DISTINCT FROM {text}"
                    if pinned[name] != "VARCHAR" and value != _NOTHING and not self.connection.execute(f"SELECT {fits}").fetchall()[0][0]:
                        raise fault.retyped(self.source, name, pinned[name], f'"{value}"', path)
                type_ = pinned[name]
            types[name] = type_
        return types

    # Rows of text

    def _count(self, types: dict[str, Column]) -> None:
        """Count the rows of new files, reading every value as what it is to be. Raises BadFiles or ForebayError; fills `contents`."""
        for _ in range(2 * len(types) + 1):
            try:
                self._count_all(types)
                return
            except _Other as other:
                lower = other.column.lower()
                pinned = lower in self._pinned()
                if self.source.drift == "accept" and pinned and types[lower].type != "VARCHAR":
                    wider = "DOUBLE" if types[lower].type in INTEGERS else "VARCHAR"
                    types[lower] = Column(types[lower].name, wider)
                    continue
                if pinned:
                    raise other.error from None
                raise BadFiles({other.path: other.error}) from None

    def _count_all(self, types: dict[str, Column]) -> None:
        groups: dict[tuple[Layout, bool], list[File]] = {}
        for file in self.fresh:
            layout = self.contents[self._key(file)][1]
            if layout:
                groups.setdefault((layout, is_tabbed(file.path)), []).append(file)
            else:
                self.contents[self._key(file)] = 0, ()
        for (layout, _), files in groups.items():
            for start in range(0, len(files), 1000):
                some = files[start : start + 1000]
                try:
                    counted = self._counted(some, layout, types)
                except duckdb.Error as error:
                    self._blame(some, layout, types, error)
                for file in some:
                    self.contents[self._key(file)] = counted.get(file.path, 0), layout

    def _counted(self, files: Sequence[File], layout: Layout, types: Mapping[str, Column]) -> dict[str, int]:
        as_ = {name: column.type for name, column in types.items()}
        loose = [] if self.source.format == "json" else [c for c in layout if self._rounds(c.name, as_)]
        read_as = as_ | {column.name.lower(): "VARCHAR" for column in loose}
        table = relation.table(
            self.source.format, {**self.options, **self.found}, Part(tuple(file.at for file in files), layout), read_as, filename=_FILE
        )
        bad = [f"count(*) FILTER ({_other(column.name, as_[column.name.lower()])})" for column in loose]
        read = [f"count({duckdb.quoted(column.name)})" for column in layout]
        rows = self.connection.execute(
            f"SELECT {duckdb.quoted(_FILE)}, count(*), [{', '.join(bad)}]::BIGINT[], [{', '.join(read)}] FROM {table} GROUP BY 1"
        ).fetchall()
        named = {file.at: file for file in files}
        for at, _, others, _ in sorted(rows):
            for column, number in zip(loose, others, strict=True):
                if number:
                    self._place(named[at], layout, column, as_)
        return {named[at].path: number for at, number, _, _ in rows}

    def _rounds(self, name: str, types: Mapping[str, str]) -> bool:
        """Whether the engine would make the found type of text that is not quite of it: 1.5 would become 2, 10:00+02 would be 10:00."""
        type_ = types[name.lower()]
        # By a format, text is of the type exactly or not at all.
        exact = _FORMATTED.get(type_) in {**self.options, **self.found}
        return name.lower() not in self.declared and (type_ in INTEGERS or type_ in _PATTERNS or (type_ in _FORMATTED and not exact))

    def _place(self, file: File, layout: Layout, column: Column, types: Mapping[str, str]) -> None:
        """Raises _Other at the first line of the file whose text is not of the column's type."""
        type_ = types[column.name.lower()]
        read_as = {held.name.lower(): "VARCHAR" for held in layout}
        table = relation.table(self.source.format, {**self.options, **self.found}, Part((file.at,), layout), read_as)
        numbered = f"SELECT row_number() OVER () AS n, {duckdb.quoted(column.name)} FROM {table}"
        number, text = self.connection.execute(
            f"SELECT n, {duckdb.quoted(column.name)} FROM ({numbered}) WHERE {_other(column.name, type_)} ORDER BY n LIMIT 1"
        ).fetchall()[0]
        header = int(self.options.get("header", True) is not False) + int(str(self.options.get("skip", 0)))
        raise self._other(column.name, type_, file.path, number + header, text)

    def _other(self, name: str, type_: str, path: str, line: int, text: str) -> _Other:
        where = f"{path}:{line}"
        if name.lower() in self._pinned():
            return _Other(name, path, fault.retyped(self.source, name, type_, f'"{text}"', where))
        return _Other(name, path, ForebayError(
            "source.unreadable", f'source `{self.source.name}`: column `{name}` is {type_} in the first rows, and here is "{text}"',
            where=where, advice=f"Declare its type under `sources.{self.source.name}.columns`",
        ))  # fmt: skip

    def _blame(self, files: Sequence[File], layout: Layout, types: Mapping[str, Column], error: duckdb.Error) -> None:
        """Raises what is wrong with which of the files."""
        bad = {}
        for file in files:
            try:
                self._counted([file], layout, types)
            except duckdb.Error as own:
                found = fault.conversion(own)
                if found is not None and found[0].lower() in self._pinned():
                    raise self._other(found[0], types[found[0].lower()].type, file.path, found[2], found[1]) from None
                bad[file.path] = fault.source_error(self.connection, self.source, [file], own)
                if not bad[file.path].where:
                    bad[file.path].where = file.path
        if not bad:
            raise error
        raise BadFiles(bad)


_FORMATTED = {"DATE": "dateformat", "TIMESTAMP": "timestampformat"}
_PATTERNS = {"TIME": r"[0-9]+:[0-9]+(:[0-9]+([.][0-9]+)?)?", "BOOLEAN": "[A-Za-z]+"}
"""Text that is of a type and no more: the engine would drop an offset or a date, and make 1 true."""
_UNTYPED = {"parquet": "INTEGER", "json": "JSON"}
"""What the reader reads a column as in which no file has a value yet."""
_NOTHING = "__HIVE_DEFAULT_PARTITION__"
_COMPRESSED = (".gz", ".zst")
_HEADS = {"skip", "comment", "header", "encoding", "compression"}
"""Options by which the first line is not the whole of the header."""


def _first(pairs: Iterable[tuple[Layout, File]]) -> dict[Layout, File]:
    found: dict[Layout, File] = {}
    for layout, file in pairs:
        found.setdefault(layout, file)
    return found


def _emptied(layout: Layout, empty: set[str]) -> Layout:
    """The columns, those told to have no value without a type."""
    return tuple(Column(column.name, relation.NULL_TYPE) if column.name in empty else column for column in layout)


def _joined(one: str, other: str) -> str:
    """A type that text of both types can be read as."""
    return common(one, other) or ("DOUBLE" if {one, other} <= _NUMBERS else "VARCHAR")


def _other(name: str, type_: str) -> str:
    """A condition on text: it is there, and not one of the type."""
    text = duckdb.quoted(name)
    if type_ in INTEGERS or type_ in _PATTERNS:
        exact = f"regexp_full_match(trim({text}), '{_PATTERNS.get(type_, '[+-]?[0-9]+')}')"
    else:
        exact = f"NOT contains({text}, ':')" if type_ == "DATE" else f"NOT regexp_matches({text}, ':.*[-+Zz]')"
    return f"{text} IS NOT NULL AND (TRY_CAST({text} AS {type_}) IS NULL OR NOT {exact})"


def _shouted(path: str) -> bool:
    """Whether a file's name says in capitals that it is compressed: the engine does not take them for that."""
    return path.lower().endswith(_COMPRESSED) and not path.endswith(_COMPRESSED)


def _bases(name: str) -> Iterable[str]:
    """What the engine may have made a name of, to tell it from another one: a, or A_1, of A_1_1."""
    while (base := re.sub(r"_\d+$", "", name)) != name:
        yield base
        name = base


def _type_of(values: Iterable[str]) -> str:
    """What values of a folder's key are, as the engine would say."""
    given = [value for value in values if value != _NOTHING]
    if given and all(re.fullmatch(r"0|-?[1-9]\d{0,17}", value, re.ASCII) for value in given):
        return "BIGINT"
    return "DATE" if given and all(re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII) for value in given) else "VARCHAR"
