"""Show a run: its read models in memory, the terminal summary, the page, SQL."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.market.instruments import Registry
from adapters.market.tape import list_tapes
from adapters.tape.digest import DecisionDigest, TapeDigest
from adapters.tape.reader import config_of, is_sealed, list_account_folders, list_run_folders, read_manifest, read_rows
from projections.follow import larger
from projections.migrate import migrate
from projections.projector import Projector
from projections.summary import run_report

if TYPE_CHECKING:
    import duckdb


def project(folder: Path) -> "duckdb.DuckDBPyConnection":
    """An in-memory DuckDB with the read models of one tape."""
    import duckdb

    connection = duckdb.connect(":memory:")
    migrate(connection)
    projector = Projector(connection, folder.name)
    for rows, notes in larger(read_rows(folder)):
        projector.apply(rows, notes)
    return connection


def report_data(folder: Path) -> dict[str, Any]:
    """Everything the report shows."""
    config = config_of(folder)
    manifest = read_manifest(folder) if is_sealed(folder) else _growing(folder)
    data = run_report(project(folder), folder.name, manifest.get("marks"))
    timing = manifest.get("timing", {})
    data |= {
        "run_id": folder.name,
        "seconds": timing.get("seconds"),
        "bars_per_second": timing.get("bars_per_second"),
        "inputs": [
            {"tape": tape["name"], "bars": data["bars"] if len(config["selection"]["tapes"]) == 1 else 0,
             "digest": tape["content_digest"]}
            for tape in config["selection"]["tapes"]
        ],
        "digests": {
            "tape": manifest["tape_digest"],
            "decision": manifest["decision_digest"],
            "state": manifest.get("state_digest", ""),
            "code": config["kernel_hash"],
        },
    }  # fmt: skip
    texts = manifest.get("faults", [])
    for fault, text in zip(data["faults"], texts, strict=False):
        fault["text"] = text
    return data


def _growing(folder: Path) -> dict[str, Any]:
    tape, decisions = TapeDigest(), DecisionDigest()
    for rows, notes in read_rows(folder):
        tape.add(rows, notes)
        decisions.add(rows)
    return {"tape_digest": tape.hex(), "decision_digest": decisions.hex()}


def print_report(data: dict[str, Any]) -> None:
    """The terminal summary of a run, from its `report_data`."""
    from rich.console import Console

    from api.report import terminal_report

    terminal_report(data, Console())


def write_page(home: Path, data: dict[str, Any], output: Path | None = None) -> Path:
    """Write a run's HTML page from its `report_data` and return where it is."""
    from api.report import html_report

    path = output or home / "views" / "reports" / f"{data['run_id']}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html_report(data), encoding="utf-8")
    return path


def list_runs(home: Path) -> list[dict[str, Any]]:
    """One line of figures a run or account tape, oldest first."""
    lines: list[dict[str, Any]] = []
    for folder in list_run_folders(home):
        if is_sealed(folder):
            manifest = read_manifest(folder)
            lines.append({"run_id": folder.name, "mode": manifest["config"]["mode"], **manifest["summary"]})
        else:
            lines.append({"run_id": folder.name, "mode": "unfinished"})
    accounts = list_account_folders(home)
    return lines + [{"run_id": folder.name, "mode": config_of(folder)["mode"]} for folder in accounts]


def query(home: Path, folder: Path | None, text: str) -> "duckdb.DuckDBPyRelation | None":
    """Ask `text` of a run's read models, of `bars` and `runs`; None for a statement without rows."""
    import duckdb
    import pyarrow as pa

    connection = project(folder) if folder else duckdb.connect(":memory:")
    registry = Registry.load(home)
    rows = [{"number": i.number, "symbol": i.symbol, "tick": i.tick, "currency": i.currency} for i in registry]
    schema = pa.schema(
        [("number", pa.int32()), ("symbol", pa.string()), ("tick", pa.int64()), ("currency", pa.string())]
    )
    connection.register("instruments", pa.Table.from_pylist(rows, schema))
    files = [str(tape.path / "bars.parquet") for tape in list_tapes(home) if tape.bars]
    if files:
        listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
        connection.execute(
            "create view bars as select i.symbol, make_timestamp_ns(b.ts_init - b.span) as opened, "
            "make_timestamp_ns(b.ts_init) as available, b.open / 10000.0 as open, b.high / 10000.0 as high, "
            "b.low / 10000.0 as low, b.close / 10000.0 as close, b.volume, b.instrument "
            f"from read_parquet([{listed}], union_by_name => true) b join instruments i on i.number = b.instrument"
        )
    connection.register("runs", _runs_table(home))
    return connection.sql(text)


def _runs_table(home: Path) -> Any:
    import pyarrow as pa

    wanted = ("run_id", "mode", "bars", "events", "signals", "orders", "fills", "final_equity", "fees", "max_drawdown")
    lines = list_runs(home)
    return pa.table({name: pa.array([_text(line.get(name)) for line in lines], pa.string()) for name in wanted})


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
