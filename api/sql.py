"""`onetape sql`: one question over a home, its sealed files and the frames still growing, and over a run's read models.

The connection may read the home's tapes and nothing else, and only questions are let through: nothing can be written.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from api.catalog import add_events, add_names, make_catalog, text_literal
from api.market_views import VIEWS, add_market
from api.show import list_runs, project
from kernel.errors import ConfigError
from projections.event_views import KIND_VIEWS
from projections.tables import READ_MODELS

QUESTIONS = (duckdb.StatementType.SELECT, duckdb.StatementType.MULTI)  # MULTI is a PIVOT
EXPLAIN = re.compile(r"\s*explain\b(\s+analyze\b)?(\s*\([^)]*\))?", re.I)
EVERYTHING = frozenset(("show", "tables", "information_schema", "duckdb_views", "duckdb_columns", "duckdb_tables"))
EVENT_WORDS = frozenset(
    ("events", "events_as_of", "events_at", "notes", "tapes", "strategies", "run_instruments", *KIND_VIEWS.values())
)
MODEL_WORDS = frozenset(READ_MODELS)
MODEL_PARTS = re.compile(r"v_\w+|\w+_(as_of|at)")
RUN_COLUMNS = ("run_id", "mode", "bars", "events", "signals", "orders", "fills", "final_equity", "fees", "max_drawdown")
PLAIN_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def ask(home: Path, folder: Path | None, text: str, parameters: Mapping[str, Any]) -> duckdb.DuckDBPyRelation:
    """The answer to one question, with the read models of the run in `folder`. Raises ConfigError, duckdb.Error."""
    check_question(text)
    words = frozenset(re.findall(r"\w+", text.lower()))
    connection = open_home(home, folder, words)
    lock_down(connection, [home / "runs", home / "tapes"])
    answer = connection.sql(text, params=dict(parameters)) if parameters else connection.sql(text)
    assert answer is not None, "a question has an answer"
    return answer


def check_question(text: str) -> None:
    """Raise ConfigError unless `text` is one statement that only asks."""
    statements = duckdb.extract_statements(text)
    if len(statements) == 1 and statements[0].type == duckdb.StatementType.EXPLAIN:
        found = EXPLAIN.match(text)
        statements = duckdb.extract_statements(text[found.end() :]) if found else []
    if len(statements) != 1 or statements[0].type not in QUESTIONS:
        raise ConfigError(
            "sql: this is not one question: ask with SELECT, FROM, WITH, VALUES, PIVOT, DESCRIBE, SHOW or EXPLAIN; "
            "`onetape sql` writes nothing (--csv > FILE keeps an answer)"
        )


def open_home(home: Path, folder: Path | None, words: frozenset[str]) -> duckdb.DuckDBPyConnection:
    """A database in memory with what a question of these words may need; what is left out costs nothing."""
    everything = bool(words & EVERYTHING)
    models = everything or bool(words & MODEL_WORDS) or any(map(MODEL_PARTS.fullmatch, words))
    connection = project(folder) if folder and models else duckdb.connect(":memory:")
    add_names(connection, home)
    add_market(connection, home, VIEWS if everything else words & VIEWS.keys())
    if everything or words & EVENT_WORDS or any(word.startswith("stored_") for word in words):
        add_events(connection, make_catalog(home, hot=True))
    if everything or "runs" in words:
        connection.register("runs", _runs_table(home))
    return connection


def lock_down(connection: duckdb.DuckDBPyConnection, folders: Iterable[Path]) -> None:
    """From here on the connection reads files in `folders` only, loads no extension and cannot be set otherwise."""
    allowed = ", ".join(text_literal(folder.as_posix() + "/") for folder in folders)
    for setting in (
        f"allowed_directories = [{allowed}]",
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        connection.execute(f"SET {setting}")


def read_parameters(given: Iterable[str]) -> dict[str, Any]:
    """name=value pairs as values to bind: whole numbers, decimals, dates and times, else text; "..." is always text.

    Raises ConfigError.
    """
    parameters = {}
    for pair in given:
        name, found, value = pair.partition("=")
        if not found or not name.isidentifier():
            raise ConfigError(f"--param {pair}: write name=value, and $name in the question")
        parameters[name] = _value(value)
    return parameters


def _value(text: str) -> int | Decimal | date | datetime | str:
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1]
    if number := PLAIN_NUMBER.fullmatch(text):
        return Decimal(text) if number[1] else int(text)
    for kind in (date, datetime):
        try:
            return kind.fromisoformat(text)
        except ValueError:
            continue
    return text


def _runs_table(home: Path) -> pa.Table:
    lines = list_runs(home)
    return pa.table({name: pa.array([_text(line.get(name)) for line in lines], pa.string()) for name in RUN_COLUMNS})


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
