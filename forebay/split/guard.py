"""What a stage may be: a query over the tables it was given, and nothing that reads the machine, the session or chance.

Two sieves. The tree says what is read: every name in FROM is a known table or a WITH query, every function in FROM is on a
short list. The tokens say what is called: a denied function is denied by the very name the author wrote, in any position, so
no renaming by the parser can hide it. Functions that nobody knows are left to the engine's binder.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from difflib import get_close_matches

from sqlglot import Token, TokenType, exp

from forebay.errors import ForebayError, Problems
from forebay.split.parameters import CLOCK_CALLS, uses
from forebay.split.scopes import named_tables
from forebay.split.stability import VOLATILE
from forebay.split.stage import Stage
from forebay.split.syntax import Place, parse_tokens, start_of, tokenize

TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest"})
"""The functions that may stand in FROM."""

_DENIED_NAMES = """
    version getenv getvariable get_block_size in_search_path nextval currval lastval query query_table write_log which_secret
    txid_current sleep_ms stats error glob sniff_csv seq_scan arrow_scan arrow_scan_dumb pandas_scan python_map_function
    json_execute_serialized_sql json_serialize_sql json_serialize_plan
    json_deserialize_sql enable_logging disable_logging enable_profiling disable_profiling checkpoint
    force_checkpoint truncate_duckdb_logs session_user user col_description obj_description shobj_description vector_type
"""
_DENIED = frozenset(_DENIED_NAMES.split())
_DENIED_STARTS = ("read_", "parquet_", "duckdb_", "pragma_", "pg_", "current_", "inet_", "has_")
_HARMLESS = frozenset(CLOCK_CALLS) | {"pg_typeof", "pg_size_pretty"}
_DENIED_WORDS = frozenset({"current_user", "session_user", "current_role", "current_catalog", "current_schema"})

_STATEMENTS = (exp.Command, exp.DDL, exp.DML, exp.Describe, exp.Summarize, exp.Show, exp.Into, exp.Set, exp.Attach, exp.Pragma)


def check(stage: Stage, file: str, tables: Collection[str], parameters: Collection[str], *, frozen_time: bool = True) -> None:
    """Raise all that is wrong with `stage` at once.

    Codes: `sql.forbidden`, `sql.unknown_table`, `sql.unknown_parameter`, `sql.not_deterministic`. `tables` are the relations that
    it may read. With `frozen_time=False` (a declared Tier-2 table) the clock is refused too.
    """
    place = Place(file, stage.line, stage.column)
    tokens = tokenize(stage.sql, place)
    tree = parse_tokens(tokens, stage.sql, place)
    problems = [
        ForebayError(code, what, where=place.at(stage.sql, offset), advice=advice)
        for offset, code, what, advice in sorted(
            {
                *_shape(tree),
                *_tables(tree, tables),
                *_calls(tokens),
                *_parameters(tokens, parameters),
                *([] if frozen_time else _clock(tokens)),
            }
        )
    ]
    if problems:
        raise problems[0] if len(problems) == 1 else Problems(problems)


def check_condition(condition: str, file: str, table: str) -> None:
    """Raise what is wrong with a condition on the rows of `table`: it must be one, over that row alone."""
    stage = Stage("condition", f"SELECT * FROM {table} WHERE (\n{condition}\n)", 1)
    check(stage, file, (table,), (), frozen_time=False)
    place = Place(file, stage.line, stage.column)
    tree = parse_tokens(tokenize(stage.sql, place), stage.sql, place)
    where = tree.args.get("where")
    others = {key for key, value in tree.args.items() if value} - {"expressions", "from", "from_", "where"}
    if not isinstance(tree, exp.Select) or others or where is None or not isinstance(where.this, exp.Paren) or where.find(exp.Query):
        raise ForebayError("sql.forbidden", "it is no condition on the columns of one row", where=file, advice="e.g. op = 'D'")


_Found = tuple[int, str, str, str]


def _shape(tree: exp.Expr) -> Iterator[_Found]:
    """Statements in place of queries, sampling, dynamic PIVOT, `age` of one date."""
    for node in tree.find_all(*_STATEMENTS):
        if not isinstance(node, exp.Query):
            yield _offset(node), "sql.forbidden", f"{node.key.upper()} inside a query", "A stage only reads"
    for node in tree.find_all(exp.TableSample):
        yield _offset(node), "sql.not_deterministic", "sampling gives other rows each time", "Filter by a hash of the key instead"
    for node in tree.find_all(exp.Pivot):
        if isinstance(node.this, exp.Expr):
            yield _offset(node), "sql.forbidden", "PIVOT as a statement", "Write `from t pivot (… for column in (values))`"
    for node in tree.find_all(exp.Anonymous):
        if node.name.lower() == "age" and len(node.expressions) < 2:
            yield _offset(node), "sql.not_deterministic", "`age` of one date reads the clock", "Write `age(current_date, date)`"


def _tables(tree: exp.Expr, tables: Collection[str]) -> Iterator[_Found]:
    known = {table.lower() for table in tables}
    for table, cte in named_tables(tree):
        shown = table.sql("duckdb", comments=False)
        if table.args.get("db") or table.args.get("when") or table.args.get("version"):
            what = f"`{shown}` reaches outside the project's tables"
            yield _offset(table), "sql.forbidden", what, "Name a table as it is declared, without a schema"
        elif cte is None and table.name.lower() not in known:
            if any(sign in table.name for sign in "./\\:*"):
                yield _offset(table), "sql.forbidden", f"a query cannot read the file {table.name!r}", "Declare it as a source"
            else:
                near = get_close_matches(table.name.lower(), known, 1)
                advice = f"Did you mean `{near[0]}`?" if near else ""
                yield _offset(table), "sql.unknown_table", f"there is no table `{table.name}`", advice
    advice = f"Only {', '.join(sorted(TABLE_FUNCTIONS))} and declared tables can"
    for part in tree.find_all(exp.Table, exp.Lateral):
        if not isinstance(part.this, _READABLE):
            yield _offset(part), "sql.forbidden", "this function cannot stand in FROM", advice


_READABLE = (exp.Identifier, exp.Query, exp.Values, exp.GenerateSeries, exp.Unnest, exp.Explode)


def _calls(tokens: Sequence[Token]) -> Iterator[_Found]:
    """Calls and bare words of functions that are refused wherever they stand."""
    for index, token in enumerate(tokens):
        name = token.text.lower()
        before = tokens[index - 1].token_type if index else None
        called = index + 1 < len(tokens) and tokens[index + 1].token_type is TokenType.L_PAREN
        if token.token_type is TokenType.STRING:
            continue
        if called and name in VOLATILE:
            what = f"`{name}()` is not a function of the data"
            yield token.start, "sql.not_deterministic", what, "Derive the value from a key, or pass it as a parameter"
        elif called and name in CLOCK_CALLS and before is TokenType.DOT:
            yield token.start, "sql.forbidden", f"`{name}()` cannot be qualified", f"Write `{name}()`"
        elif called and name not in _HARMLESS and (name in _DENIED or name.startswith(_DENIED_STARTS)):
            yield token.start, "sql.forbidden", f"`{name}()` reads or changes more than the data", ""
        elif name not in _DENIED_WORDS or token.token_type is TokenType.IDENTIFIER:
            continue
        elif before not in (TokenType.DOT, TokenType.ALIAS):
            yield token.start, "sql.forbidden", f"`{name}` reads the session", ""


def _parameters(tokens: Sequence[Token], parameters: Collection[str]) -> Iterator[_Found]:
    known = {name.lower(): name for name in parameters}
    for token in tokens:
        if token.token_type is TokenType.PLACEHOLDER:
            yield token.start, "sql.unknown_parameter", "`?` has no name", "Name the parameter: `$name`"
    for use in uses(tokens):
        if use.clock or use.name.lower() in known:
            continue
        near = get_close_matches(use.name.lower(), known, 1)
        advice = f"Did you mean `${known[near[0]]}`?" if near else "Declare it under the calculation's parameters"
        if use.name.isdigit():
            advice = "Name the parameter: `$name`"
        yield use.start, "sql.unknown_parameter", f"parameter `${use.name}` is not declared", advice


def _clock(tokens: Sequence[Token]) -> Iterator[_Found]:
    for use in uses(tokens):
        if use.clock:
            advice = "Move it to the calculation, where the clock is a parameter"
            yield use.start, "sql.not_deterministic", "a Tier-2 table cannot read the clock", advice


def _offset(node: exp.Expr) -> int:
    """Where to point for `node`: its first name, or that of the nearest node around it that has one."""
    around: exp.Expr | None = node
    while around is not None:
        if (start := start_of(around)) is not None:
            return start
        around = around.parent
    return 0
