"""Show a run: its read models in memory, the terminal summary, the page."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.tape.digest import DecisionDigest, TapeDigest
from adapters.tape.reader import config_of, is_sealed, list_account_folders, list_run_folders, read_manifest, read_rows
from api.completing import complete
from kernel.errors import OnetapeError
from projections.follow import larger
from projections.migrate import migrate
from projections.projector import Projector
from projections.summary import run_report

if TYPE_CHECKING:
    import duckdb

RATES = ("bars_per_second", "ticks_per_second")  # of a sealed run's manifest


def project(folder: Path, changes: bool = True) -> "duckdb.DuckDBPyConnection":
    """An in-memory DuckDB with the read models of one tape; without `changes` nothing can be asked as of a seq."""
    import duckdb

    connection = duckdb.connect(":memory:")
    migrate(connection)
    projector = Projector(connection, folder.name, changes)
    for rows, notes in larger(read_rows(folder)):
        projector.apply(rows, notes)
    complete(connection, folder.name, folder)
    return connection


def report_data(folder: Path) -> dict[str, Any]:
    """Everything the report shows."""
    config = config_of(folder)
    manifest = read_manifest(folder) if is_sealed(folder) else _growing(folder)
    data = run_report(project(folder, changes=False), folder.name)
    timing = manifest.get("timing", {})
    data |= {
        "run_id": folder.name,
        "seconds": timing.get("seconds"),
        "inputs_per_second": sum(rates) if (rates := [timing[name] for name in RATES if name in timing]) else None,
        "inputs": [
            {"tape": tape["name"], "digest": tape["content_digest"]} for tape in config["selection"]["tapes"]
        ],
        "digests": {
            "tape": manifest["tape_digest"],
            "decision": manifest["decision_digest"],
            "state": manifest.get("state_digest", ""),
            "code": config["kernel_hash"],
        },
    }  # fmt: skip
    _explain_faults(data, manifest.get("faults", []))
    return data


def _explain_faults(data: dict[str, Any], texts: list[str]) -> None:
    """Put the manifest's sentences, one a failed strategy in the order of their numbers, with the faults they are of:
    those are by seq, and a strategy fails once in a run."""
    numbers = {row["name"]: number for number, row in enumerate(data["strategies"], 1)}
    for fault, text in zip(sorted(data["faults"], key=lambda row: numbers[row["strategy"]]), texts, strict=False):
        fault["text"] = text


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
    """One line of figures a run or account tape, oldest first; of a damaged one what is wrong, as `damaged`."""
    return [_line(folder) for folder in [*list_run_folders(home), *list_account_folders(home)]]


def _line(folder: Path) -> dict[str, Any]:
    try:
        if is_sealed(folder):
            manifest = read_manifest(folder)
            return {"run_id": folder.name, "mode": manifest["config"]["mode"], **manifest["summary"]}
        mode = "unfinished" if folder.parent.name == "runs" else config_of(folder)["mode"]
        return {"run_id": folder.name, "mode": mode}
    except OnetapeError as error:
        return {"run_id": folder.name, "mode": "damaged", "damaged": str(error)}
