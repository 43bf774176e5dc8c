"""The judge of slicing: a static SELECT whole, against the partials of its slices combined.

The stages of a random calculation serve, the values of its first trial written into them: stage by stage, over each table it reads,
whose rows are dealt to three slices, of which one may get none.
"""

from __future__ import annotations

from collections import Counter
from random import Random

import duckdb

from forebay.errors import ForebayError
from forebay.split.names import tables_read
from forebay.split.parameters import bind, used
from forebay.split.partial import Slicing
from forebay.split.script import read_script
from forebay.split.slicing import NotSliced, by_partition, slicing
from fuzz.calculation import Calculation
from fuzz.oracle import NOT_SQL, TOLERANCE, Answer, Judge, same_rows

SLICES = 3


class SliceJudge(Judge):
    """Judges slicing with the connection and the tables of the split's judge."""

    def __init__(self) -> None:
        super().__init__()
        self.counts = Counter[str]()

    def slices(self, case: Calculation) -> list[str]:
        """What is wrong with the slicing of the stages of `case`, in words; `counts` tells what was tried."""
        self._load(case)
        relations = case.relations(case.sources | case.inputs)
        wrong = []
        try:
            stages = read_script(str(case.script), "script")
        except ForebayError:
            return []
        for stage in stages:
            sql = self._written_out(case, stage.sql)
            self.connection.execute("set search_path = 'whole,src,in0'")
            try:
                whole = self._answer(sql, {})
                self.connection.execute(f'create or replace table whole."{stage.name}" as {sql}')
            except (duckdb.Error, ValueError, OverflowError):
                self.counts["errors"] += 1
                break
            for source in sorted(name for name in relations if name.lower() in tables_read(sql)):
                for alone in (False, True):
                    found = self._sliced(case, sql, source, relations, whole, alone=alone)
                    self.counts[("alone, " if alone else "") + found.partition(":")[0]] += 1
                    if found.startswith("wrong"):
                        wrong.append(f"{source}, {found}\n{sql}")
                wrong += self._apart(case, sql, source, relations, whole)
            relations[stage.name] = dict(whole[0])
        return wrong

    def _apart(self, case: Calculation, sql: str, source: str, relations: dict[str, dict[str, str]], whole: Answer) -> list[str]:
        """What is wrong where the stage is done anew for the values of one of its columns, of which some are done first."""
        wrong = []
        for column, _ in whole[0]:
            try:
                made = by_partition(sql, source, relations, column)
            except NotSliced:
                self.counts["not apart"] += 1
                continue
            rows = []
            home = self._home(source)
            try:
                for half in range(2):
                    where = f"coalesce(hash(cast(({made.value}) as varchar)) % 2, 0) = {half}"
                    self.connection.execute(f'create or replace view halves."{source}" as select * from {home} where {where}')
                    rows += self._answer(made.combine, {})[1]
            except NOT_SQL:
                self.counts["apart, unbound"] += 1
            except duckdb.Error:
                self.counts["apart, failed"] += 1
            else:
                self.counts["apart"] += 1
                if not same_rows(whole, (whole[0], rows), TOLERANCE) and not self._unsure(case, sql, whole):
                    wrong.append(f"{source}, wrong apart by {column}\n{sql}")
        return wrong

    def _home(self, source: str) -> str:
        """Where the table of that name is, once there is an empty schema `halves` before it."""
        self.connection.execute("drop schema halves cascade; create schema halves; set search_path = 'halves,whole,src,in0'")
        order = "array_position(['whole', 'src', 'in0'], table_schema)"
        places = f"select table_schema from information_schema.tables where lower(table_name) = lower('{source}') and {order} > 0"
        read = self.connection.execute(f"{places} order by {order}").fetchone()
        assert read is not None
        return f'{read[0]}."{source}"'

    def _written_out(self, case: Calculation, sql: str) -> str:
        bound = bind(sql, case.parameters)
        for name in sorted(used(sql), key=len, reverse=True):
            value = case.trials[0].values[name]
            bound = bound.replace(f"${name}", "NULL" if value is None else "'" + value.replace("'", "''") + "'")
        return bound

    def _sliced(self, case: Calculation, sql: str, source: str, relations: dict[str, dict[str, str]], whole: Answer, *, alone: bool) -> str:
        try:
            made = slicing(
                sql, source, {name: columns for name, columns in relations.items() if name.lower() in tables_read(sql)}, alone=alone
            )
        except NotSliced as refused:
            return "whole" if str(refused) else "whole without a reason"
        try:
            answer = self._combined(made, source, Random(f"{case.seed} {source}"))
        except NOT_SQL as error:
            return f"unbound: {error}"
        except duckdb.Error as error:
            # A row that the whole never looks at, for a join takes it away first: such a table is built as a whole.
            return f"failed: {error}"
        if answer[0] != whole[0]:
            return f"types: {whole[0]} {answer[0]}"
        if same_rows(whole, answer, TOLERANCE) or self._unsure(case, sql, whole):
            return "combined" if made.combine else "row by row"
        return f"wrong: {sorted(map(str, whole[1]))[:9]}, by slices {sorted(map(str, answer[1]))[:9]}\n{made.partial}\n{made.combine}"

    def _combined(self, made: Slicing, source: str, chance: Random) -> Answer:
        run = self.connection.execute
        home = self._home(source)
        dealt = [chance.randrange(chance.choice([2, SLICES])) for _ in range(run(f"select count(*) from {home}").fetchall()[0][0])]
        run("create table halves.dealt (row bigint, slice integer)")
        if dealt:
            run("insert into halves.dealt values " + ", ".join(f"({row}, {slice_})" for row, slice_ in enumerate(dealt)))
        for name, query in made.views:
            run(f'create view halves."{name}" as {query}')
        mark = f", 0 as {made.mark}" if made.mark else ""
        for slice_ in range(SLICES):
            rows = f"select *{mark} from {home} where rowid in (select row from halves.dealt where slice = {slice_})"
            run(f'create or replace view halves."{source}" as {rows}')
            into = f"insert into halves.{_PARTIALS}" if slice_ else f"create table halves.{_PARTIALS} as"
            run(f"{into} {made.partial}")
        run(f'drop view halves."{source}"')
        if not made.combine:
            return self._answer(f"select * from halves.{_PARTIALS}", {})
        run(f'alter table halves.{_PARTIALS} rename to "{made.relation}"')
        return self._answer(made.combine, {})

    def _unsure(self, case: Calculation, sql: str, whole: Answer) -> bool:
        """Whether the whole differs from itself, over other orders of rows or unoptimized."""
        for again in range(4):
            chance = Random(again)
            try:
                if again == 3:
                    self.connection.execute("pragma disable_optimizer")
                self._fill("src", case, {name: chance.sample(table.rows, len(table.rows)) for name, table in case.sources.items()})
                self.connection.execute("set search_path = 'whole,src,in0'")
                if not same_rows(whole, self._answer(sql, {}), TOLERANCE):
                    self.counts["unstable"] += 1
                    return True
            except duckdb.Error:
                return True
            finally:
                self.connection.execute("pragma enable_optimizer")
        return False


_PARTIALS = "forebay_partials"
