"""Make the golden home of a release: `python -m tests.golden.make_release NUMBER`. Once, when it is released.

A market tape, a backtest, and a paper account of two days: the first sealed, the second still frames. What a later
release must read is listed beside it in `expected.json`, for each layout since; `... make_release read-again` adds the newest.
"""

import hashlib
import json
import shutil
import sys
import tempfile
from pathlib import Path

from adapters.tape.layouts import layouts
from adapters.tape.reader import list_account_folders, list_run_folders, read_rows
from adapters.tape.rolling import seal_closed
from kernel.schema import RAW

RELEASES = Path(__file__).parent / "releases"
STRATEGY = ("--strategy", "ema_cross,fast=3,slow=7,quantity=5", "--strategy", "buy_and_hold,quantity=2")
CSV = "symbol,datetime,open,high,low,close,volume\n"


def write_csv(path: Path) -> None:
    """Forty minutes on each of two days of two symbols, prices that cross back and forth."""
    lines = []
    for day in ("2024-01-01", "2024-01-02"):
        for k in range(40):
            for symbol, base in (("INFY", 1_500), ("TCS", 3_600)):
                px = base + (k * 7) % 13 + (k // 9) * 2
                lines.append(f"{symbol},{day} 09:{15 + k}:00,{px},{px + 2},{px - 2},{px + 1},{100 + k}")
    path.write_text(CSV + "\n".join(lines) + "\n")


def digest_of(folder: Path) -> dict[str, object]:
    """What reading gives: rows, their bytes as one hash, notes as another."""
    rows_sha, notes_sha, count = hashlib.sha256(), hashlib.sha256(), 0
    for rows, notes in read_rows(folder):
        rows_sha.update(rows.view(RAW).tobytes())
        notes_sha.update(json.dumps(sorted(notes.items())).encode())
        count += len(rows)
    return {"rows": count, "rows_sha256": rows_sha.hexdigest(), "notes_sha256": notes_sha.hexdigest()}


def main(number: str) -> None:
    from api.cli import main as onetape

    home = RELEASES / number / "home"
    shutil.rmtree(home.parent, ignore_errors=True)
    home.mkdir(parents=True)
    csv = home.parent / "two_days.csv"
    write_csv(csv)

    def call(*arguments: str) -> None:
        assert onetape(["--home", str(home), *arguments]) == 0, arguments

    call("import", str(csv), "--tick", "0.05", "--span", "1m", "--name", "two-days")
    call("backtest", *STRATEGY)
    live = ("live", *STRATEGY, "--feed", "replay:two-days@max")
    call(*live, "--to", "2024-01-01")
    [account] = list_account_folders(home)
    seal_closed(account, whole=True)
    call(*live)
    csv.unlink()
    for path in (home / "views", account / "ballast", account / "sources.json", account / "writer.lock"):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    (account / "sealer.lock").unlink(missing_ok=True)
    for path in (home / "instruments").glob(".lock"):
        path.unlink()
    folders = [*list_run_folders(home), account]
    expected = {folder.relative_to(home).as_posix(): digest_of(folder) for folder in folders}
    (home.parent / "expected.json").write_text(json.dumps({number: expected}, indent=1) + "\n")
    print(sum(path.stat().st_size for path in home.rglob("*") if path.is_file()), "bytes", expected)


def read_again() -> None:
    """After a new layout with an upcaster: add what the homes of earlier releases are read as now."""
    newest = str(max(layout.number for layout in layouts().values()))
    for release in RELEASES.iterdir():
        path = release / "expected.json"
        expected = json.loads(path.read_text())
        with tempfile.TemporaryDirectory() as room:
            home = Path(shutil.copytree(release / "home", Path(room) / "home"))
            expected[newest] = {name: digest_of(home / name) for name in expected[release.name]}
        path.write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:] == ["read-again"]:
        read_again()
    else:
        main(sys.argv[1])
