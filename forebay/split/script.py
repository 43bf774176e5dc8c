"""A calculation's script, read into stages.

A script is `create table NAME as select …;` statements, or one bare SELECT. Everything else is refused here, by the shape of
the tokens, before any tree is trusted. A stage keeps its author's text, character by character.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import Token, TokenType, exp

from forebay.errors import ForebayError, Problems
from forebay.split.stage import Stage
from forebay.split.syntax import QUERY_STARTS, Place, parse_tokens, tokenize

ONLY_RESULT = "result"
"""The name of the stage of a script that is one bare SELECT."""

_FORM = "A stage is `create table NAME as select …;`"


def read_script(text: str, file: str) -> tuple[Stage, ...]:
    """The stages of a script, in order. Every statement at fault is reported, each as `file:line:column`."""
    statements = _statements(text, file)
    problems: list[ForebayError] = []
    stages: dict[str, Stage] = {}
    for statement in statements:
        try:
            stage = _stage(statement, text, file, alone=len(statements) == 1)
            if stage.name.lower() in stages:
                earlier = stages[stage.name.lower()]
                raise ForebayError(
                    "sql.duplicate_stage",
                    f"stage `{stage.name}` is already defined at line {earlier.line}",
                    where=Place(file).at(text, statement[0].start),
                    advice="Give each stage a name of its own (upper and lower case are the same)",
                )
            stages[stage.name.lower()] = stage
        except ForebayError as problem:
            problems.append(problem)
    if problems:
        raise problems[0] if len(problems) == 1 else Problems(problems)
    return tuple(stages.values())


def read_select(text: str, file: str) -> Stage:
    """The one SELECT that a declared Tier-2 table's file holds."""
    statements = _statements(text, file)
    if len(statements) > 1:
        raise ForebayError(
            "sql.not_select",
            f"the file holds {len(statements)} statements",
            where=Place(file).at(text, statements[1][0].start),
            advice="A Tier-2 table is one SELECT; put steps into WITH",
        )
    if statements[0][0].token_type not in QUERY_STARTS:
        raise _not_select(statements[0][0], text, file, "A Tier-2 table is one SELECT")
    return _query(ONLY_RESULT, statements[0], text, file)


def _statements(text: str, file: str) -> list[list[Token]]:
    """The tokens of each statement that has any, without its semicolon."""
    statements: list[list[Token]] = [[]]
    for token in tokenize(text, Place(file)):
        if token.token_type is TokenType.SEMICOLON:
            statements.append([])
        else:
            statements[-1].append(token)
    found = [statement for statement in statements if statement]
    if not found:
        raise ForebayError("sql.empty", "there is no SQL", where=f"{file}:1:1", advice=_FORM)
    return found


def _stage(tokens: Sequence[Token], text: str, file: str, *, alone: bool) -> Stage:
    if tokens[0].token_type in QUERY_STARTS:
        if alone:
            return _query(ONLY_RESULT, tokens, text, file)
        what = "a SELECT among several statements needs a name"
        raise ForebayError("sql.not_select", what, where=Place(file).at(text, tokens[0].start), advice=_FORM)
    words = [token.text.lower() if token.token_type is not TokenType.IDENTIFIER else "" for token in tokens]
    at = 1 if words[0] == "create" else 0
    at += 2 if at and words[at : at + 2] == ["or", "replace"] else 0
    at += 1 if at and words[at : at + 1] in (["temp"], ["temporary"]) else 0
    if not at or words[at : at + 1] != ["table"]:
        raise _not_select(tokens[0], text, file, _FORM)
    at += 1
    at += 3 if words[at : at + 3] == ["if", "not", "exists"] else 0
    if words[at + 1 : at + 2] != ["as"] or len(tokens) <= at + 2 or not (tokens[at].text and words[at] != "as"):
        place = tokens[min(at + 1, len(tokens) - 1)]
        raise ForebayError(
            "sql.not_select",
            "expected one plain name and `as select …` after `create table`",
            where=Place(file).at(text, place.start),
            advice=_FORM,
        )
    if tokens[at + 2].token_type not in QUERY_STARTS:
        raise _not_select(tokens[at + 2], text, file, _FORM)
    return _query(tokens[at].text, tokens[at + 2 :], text, file)


def _query(name: str, tokens: Sequence[Token], text: str, file: str) -> Stage:
    """The stage whose SELECT is `tokens`, if they parse as a query."""
    place = Place(file)
    start = tokens[0].start
    tree = parse_tokens(tokens, text, place)
    if not isinstance(tree, exp.Query | exp.Values) or tree.find(exp.Command):
        raise _not_select(tokens[0], text, file, _FORM)
    _, line, column = place.at(text, start).rsplit(":", 2)
    return Stage(name, text[start : tokens[-1].end + 1], int(line), int(column))


def _not_select(token: Token, text: str, file: str, advice: str) -> ForebayError:
    return ForebayError(
        "sql.not_select",
        f"`{text[token.start : token.end + 1]}` does not start a SELECT",
        where=Place(file).at(text, token.start),
        advice=advice,
    )
