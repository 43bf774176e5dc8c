"""Taking the static queries out of a dynamic stage.

A static WITH query or subquery becomes a Tier-2 table, and in its place stands `SELECT * FROM that_table`. Everything else of
the stage stays as its author wrote it: the text is cut at the parentheses around the query, never printed from the tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from sqlglot import exp
from sqlglot.tokens import TokenType

from forebay.split.columns import Schema, resolve_columns
from forebay.split.parameters import used
from forebay.split.scopes import external, named_tables, resolve
from forebay.split.stability import find_unstable
from forebay.split.syntax import Place, parse, query_groups, start_of, tokenize


class Verdict(NamedTuple):
    """Why a query inside a stage goes to Tier 2 or stays: `scope` names it, `table` is its Tier-2 table if it has one."""

    scope: str
    code: str
    why: str
    offset: int
    table: str = ""


class Hoisted(NamedTuple):
    """A stage after its static queries left: its text, their texts by Tier-2 table, and every decision."""

    sql: str
    tables: dict[str, str]
    verdicts: tuple[Verdict, ...]


def hoist(stage: str, text: str, dynamic: frozenset[str], schema: Schema, unused: Callable[[str], str]) -> Hoisted:
    """Take out of `text` what reads nothing in `dynamic` (lower case) and no parameter. `unused` makes a name unique."""
    work = _Stage(stage, text, dynamic, schema, unused)
    work.visit(work.tree)
    return Hoisted(work.rewritten(), {name: sql for sql, name in work.tables.items()}, tuple(work.verdicts))


class _Stage:
    """One stage while it is cut up: what is gone from the tree, and the cuts in its text that follow."""

    def __init__(self, stage: str, text: str, dynamic: frozenset[str], schema: Schema, unused: Callable[[str], str]) -> None:
        self.stage, self.text, self.dynamic, self.schema, self.unused = stage, text, dynamic, schema, unused
        self.tree = parse(text)
        self.groups = sorted(query_groups(text))
        self.gone: set[int] = set()
        self.tables: dict[str, str] = {}
        self.cuts: list[tuple[int, int, str]] = []
        self.verdicts: list[Verdict] = []

    def visit(self, region: exp.Expr) -> None:
        """Decide the queries directly inside `region`; its WITH queries last to first, so that each is seen after all its readers."""
        inner, withs = _directly_inside(region)
        for query in inner:
            self.decide(query, "", _label(query))
        for with_ in reversed(withs):
            for cte in reversed(with_.expressions):
                if not self.is_read(cte):
                    self.gone.add(id(cte))
                elif self.reads_itself(cte):
                    self.keep(cte.alias, "split.recursive", "a recursive query is hoisted only with all that is around it", cte)
                else:
                    self.decide(cte.this, cte.alias, cte.alias)
            if any(id(cte) in self.gone for cte in with_.expressions):
                self.drop(with_)

    def decide(self, query: exp.Expr, name: str, scope: str) -> None:
        """Hoist `query` if nothing speaks against it; else say what does and look inside."""
        if not any(True for _ in named_tables(query)):
            return
        span = self.body_of(query.parent) if isinstance(query.parent, exp.CTE) else self.span_of(query)
        if span is None:
            self.keep(scope, "split.unrepresentable", "its place in the text cannot be told", query)
            return self.visit(query)
        sql = self.alone(query, span)
        obstacle = self.obstacle(query, sql, span)
        if obstacle is not None:
            self.keep(scope, *obstacle, query)
            return None if obstacle[0] == "split.trivial" else self.visit(query)
        known = self.tables.get(sql)
        table = known or self.unused(f"{self.stage}__{name}" if name else f"{self.stage}__subquery_{self.subqueries() + 1}")
        self.tables[sql] = table
        self.cuts.append((*span, f"SELECT * FROM {quoted(table)}"))
        self.gone.add(id(query))
        self.verdicts.append(Verdict(scope, "split.static", "reads only what changes slowly", span[0], table))
        return None

    def obstacle(self, query: exp.Expr, sql: str, span: tuple[int, int]) -> tuple[str, str] | None:
        """The code and reason why `query`, standing alone as `sql`, cannot become a table."""
        reads = sorted(external(query) & self.dynamic)
        parameters = sorted(used(sql))
        if reads or parameters:
            return "split.dynamic", "depends on " + ", ".join([f"`{read}`" for read in reads] + [f"`${name}`" for name in parameters])
        if any(self.encloses(cte, query) for _, cte in named_tables(query)):
            return "split.recursive", "reads the recursive query that it is part of"
        if _trivial(query):
            return "split.trivial", "takes columns as they are: nothing is saved"
        tree = parse(sql)
        top = isinstance(query.parent, exp.CTE) and query.parent.find_ancestor(exp.Subquery, exp.CTE, exp.Exists, exp.In) is None
        resolved = resolve_columns(tree, self.schema, aliases=top)
        if resolved is None and not top:
            return "split.correlated", "reads columns of the query around it, or columns that cannot be traced"
        unstable = find_unstable(sql, tree, resolved)
        if unstable is not None:
            return unstable.code, unstable.why
        names = output_names(query) if resolved is None else [name for name, _ in resolved.columns]
        if len(set(names)) < len(names):
            return "split.duplicate_columns", "two of its columns have one name; give each its own"
        if _names_a_column(query):
            return "split.unnamed", "a column is named by its text; give the column a name with AS"
        return None

    def keep(self, scope: str, code: str, why: str, at: exp.Expr) -> None:
        self.verdicts.append(Verdict(scope, code, why, start_of(at) or 0))

    def subqueries(self) -> int:
        return sum(name.lower().startswith(f"{self.stage}__subquery_".lower()) for name in self.tables.values())

    def is_read(self, cte: exp.CTE) -> bool:
        """Whether anything that is still there reads `cte`, apart from itself."""
        return any(
            resolve(table) is cte and not self.encloses(cte, table) and not any(id(node) in self.gone for node in _around(table))
            for table in self.tree.find_all(exp.Table)
        )

    def reads_itself(self, cte: exp.CTE) -> bool:
        return any(found is cte for _, found in named_tables(cte.this))

    @staticmethod
    def encloses(cte: exp.CTE | None, node: exp.Expr) -> bool:
        return cte is not None and any(part is cte for part in _around(node))

    def alone(self, query: exp.Expr, span: tuple[int, int]) -> str:
        """The text of `query` with the WITH queries from around it that it needs."""
        needed: dict[int, exp.CTE] = {}

        def follow(part: exp.Expr) -> None:
            for _, cte in named_tables(part):
                if cte is not None and id(cte) not in needed and not any(node is query for node in _around(cte)):
                    needed[id(cte)] = cte
                    follow(cte)

        follow(query)
        sql = self.text[slice(*span)].strip()
        for around in _around(query):
            with_ = around.args.get("with_")
            carried = [cte for cte in with_.expressions if id(cte) in needed] if isinstance(with_, exp.With) else []
            if carried:
                sql = with_queries([self.text[slice(*self.item_of(cte))] for cte in carried], sql, recursive=bool(with_.recursive))
        return sql

    def span_of(self, query: exp.Expr) -> tuple[int, int] | None:
        """The text between the parentheses around a subquery: the one stretch that parses to the very same tree."""
        inside = next((table.this.meta.get("start") for table, _ in named_tables(query)), None)
        if inside is None:
            return None
        around = [span for span in self.groups if span[0] <= inside < span[1]]
        return next((span for span in around if parse(self.text[slice(*span)]) == query), None)

    def body_of(self, cte: exp.CTE) -> tuple[int, int]:
        """The text between the parentheses of a WITH query."""
        alias = cte.args["alias"].this.meta["end"]
        return next(span for span in self.groups if span[0] > alias)

    def item_of(self, cte: exp.CTE) -> tuple[int, int]:
        """The text of a WITH query from its name to its closing parenthesis."""
        return cte.args["alias"].this.meta["start"], self.body_of(cte)[1] + 1

    def drop(self, with_: exp.With) -> None:
        """Cut the WITH queries that nothing reads any more, and the word WITH if none is left."""
        items = [(self.item_of(cte), id(cte) in self.gone) for cte in with_.expressions]
        if all(gone for _, gone in items):
            tokens = tokenize(self.text, Place(self.stage))
            start = max(t.start for t in tokens if t.token_type is TokenType.WITH and t.start < items[0][0][0])
            self.cuts.append((start, items[-1][0][1], ""))
            return
        for index, ((start, end), gone) in enumerate(items):
            following = [span for span, gone_too in items[index + 1 :] if not gone_too]
            if gone and following:
                self.cuts.append((start, items[index + 1][0][0], ""))
            elif gone:
                self.cuts.append((items[index - 1][0][1], end, ""))

    def rewritten(self) -> str:
        """The text after all cuts; a cut inside another is part of it."""
        parts: list[str] = []
        at = 0
        for start, end, replacement in sorted(self.cuts, key=lambda cut: (cut[0], -cut[1])):
            if end <= at:
                continue
            parts += [self.text[at:start], replacement]
            at = end
        return "".join([*parts, self.text[at:]]).strip()


def with_queries(items: list[str], sql: str, *, recursive: bool = False) -> str:
    """`sql` under a WITH of `items`, each `name AS (…)`; one with a WITH of its own goes into a subquery, because the engine takes no two."""
    own = tokenize(sql, Place("sql"))[0].token_type is TokenType.WITH
    body = f"SELECT * FROM (\n{sql}\n)" if own else sql
    return f"WITH {'RECURSIVE ' if recursive else ''}{', '.join(items)}\n{body}"


def quoted(name: str) -> str:
    """`name` as SQL, quoted unless plain."""
    plain = name.isascii() and name.replace("_", "a").isalnum() and not name[0].isdigit()
    plain = plain and [token.token_type for token in tokenize(name, Place("name"))] == [TokenType.VAR]
    return name if plain else '"' + name.replace('"', '""') + '"'


def output_names(query: exp.Expr) -> list[str]:
    """The names of a query's columns as far as its text gives them; columns without a name count by their text."""
    select = query.this if isinstance(query, exp.SetOperation) else query
    return [
        (part.alias_or_name or part.sql("duckdb")).lower()
        for part in (select.expressions if isinstance(select, exp.Select) else [])
        if not part.is_star
    ]


def _around(node: exp.Expr) -> Iterator[exp.Expr]:
    """`node` and everything around it, from the inside out."""
    found: exp.Expr | None = node
    while found is not None:
        yield found
        found = found.parent


def _directly_inside(region: exp.Expr) -> tuple[list[exp.Expr], list[exp.With]]:
    """The queries in parentheses directly inside `region`, and its WITHs, without going into either."""
    queries: list[exp.Expr] = []
    withs: list[exp.With] = []

    def closed(node: exp.Expr) -> bool:
        if isinstance(node, exp.With):
            withs.append(node)
            return True
        inner = node is not region and isinstance(node, exp.Select | exp.SetOperation) and not isinstance(node.parent, exp.SetOperation)
        if inner and any(node is not part for part in [region.unnest() if isinstance(region, exp.Subquery) else region]):
            queries.append(node)
            return True
        return False

    for _ in region.walk(prune=closed):
        pass
    return sorted(queries, key=lambda query: start_of(query) or 0), withs


def _label(query: exp.Expr) -> str:
    alias = query.parent.alias if isinstance(query.parent, exp.Subquery) else ""
    return alias or "subquery"


def _trivial(query: exp.Expr) -> bool:
    """Whether `query` is bare columns of one table, every row."""
    if not isinstance(query, exp.Select) or not isinstance(query.args.get("from_"), exp.From):
        return False
    beyond = ("joins", "where", "group", "having", "qualify", "distinct", "order", "limit", "offset", "laterals", "with_", "sample")
    source = query.args["from_"].this
    plain = isinstance(source, exp.Table) and isinstance(source.this, exp.Identifier) and not source.args.get("pivots")
    return (
        plain
        and not source.args.get("joins")
        and not any(query.args.get(part) for part in beyond)
        and all(isinstance(part.unalias(), exp.Column) or (isinstance(part, exp.Star) and not part.args) for part in query.expressions)
    )


def _names_a_column(query: exp.Expr) -> bool:
    """Whether `query` stands in a column that has no name of its own, and is therefore named by its text."""
    for node in _around(query):
        if isinstance(node.parent, exp.Select) and node.arg_key == "expressions":
            return not isinstance(node, exp.Alias)
        if isinstance(node, exp.From | exp.Join | exp.CTE | exp.Where | exp.Having):
            return False
    return False
