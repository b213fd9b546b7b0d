"""`onetape runs`, `report` and `sql`: what is there, one run as figures and as a page, any question."""

import sys
from argparse import Namespace

from api.commands.common import print_json, say_if_compiling, settings_of
from kernel.errors import ConfigError, NotFound, TapeCorrupt


def run_runs(options: Namespace) -> int:
    from rich.console import Console
    from rich.table import Table

    from api.show import list_runs

    home, _ = settings_of(options)
    lines = _tapes(home) if options.tapes else list_runs(home)
    damaged = [line["damaged"] for line in lines if "damaged" in line]
    if options.json:
        print_json(lines)
        return TapeCorrupt.exit_code if damaged else 0
    if not lines:
        print(f"nothing in {home} yet: `onetape import` brings data in, `onetape backtest` makes a run")
        return 0
    columns = ["tape", "bars", "instruments", "first", "last"] if options.tapes else [
        "run_id", "mode", "bars", "orders", "fills", "final_equity"]  # fmt: skip
    table = Table(box=None, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold", no_wrap=name in ("run_id", "tape"), min_width=len(name))
    for line in lines:
        table.add_row(*(str(line.get(name, "")) for name in columns))
    Console().print(table)
    for text in damaged:
        print(f"damaged: {text}")
    return TapeCorrupt.exit_code if damaged else 0


def _tapes(home) -> list[dict[str, object]]:  # type: ignore[no-untyped-def]
    from adapters.market.tape import tapes_folder

    folder = tapes_folder(home)
    return [_tape(path) for path in sorted(folder.glob("*")) if path.is_dir() and path.name[0] != "."]


def _tape(path) -> dict[str, object]:  # type: ignore[no-untyped-def]
    import numpy as np

    from adapters.market.tape import open_tape

    try:
        tape = open_tape(path)
    except TapeCorrupt as error:
        return {"tape": path.name, "bars": "damaged", "damaged": str(error)}
    return {
        "tape": tape.name,
        "bars": tape.bars,
        "ticks": tape.ticks,
        "instruments": ",".join(row.symbol for row in tape.instruments),
        "first": str(np.datetime64(tape.first_ts, "ns"))[:16],
        "last": str(np.datetime64(tape.last_ts, "ns"))[:16],
        "content_digest": tape.content_digest,
    }


def run_report(options: Namespace) -> int:
    from api.replay import find_run
    from api.show import print_report, report_data, write_page

    home, _ = settings_of(options)
    folder = find_run(home, options.what)
    say_if_compiling()
    data = report_data(folder)
    print_report(data)
    print(f"page: {write_page(home, data, options.output)}")
    return 0


def run_sql(options: Namespace) -> int:
    import duckdb

    from api.replay import find_run
    from api.sql import ask, read_parameters

    home, _ = settings_of(options)
    try:
        folder = find_run(home, options.run_name)
    except NotFound:
        if options.run_name != "latest":
            raise
        folder = None
    try:
        answer = ask(home, folder, options.query, read_parameters(options.param))
        if options.json or options.csv:
            return _print_rows(answer, options.json)
        if answer.columns == ["explain_key", "explain_value"]:
            print(*(text for _, text in answer.fetchall()), sep="\n")
        else:
            answer.show(max_rows=1_000, max_width=10_000)
    except duckdb.Error as error:
        raise ConfigError(f"sql: {error}") from None
    return 0


def _print_rows(relation, as_json: bool) -> int:  # type: ignore[no-untyped-def]
    import csv

    rows = relation.fetchall()
    if as_json:
        print_json([dict(zip(relation.columns, (_plain(x) for x in row), strict=True)) for row in rows])
    else:
        csv.writer(sys.stdout).writerows([relation.columns, *rows])
    return 0


def _plain(value: object) -> object:
    return value if isinstance(value, int | float | str | bool | None) else str(value)
