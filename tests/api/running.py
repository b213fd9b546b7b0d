"""What tests of runs share: strategies, rows of tapes, tapes written anew with something changed."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from adapters.files import canonical_json
from adapters.settings_source import load_settings
from adapters.tape.reader import read_manifest, read_refs, read_rows
from adapters.tape.sealed import SealedWriter
from adapters.tape.writer import TapeWriter
from api.live import parse_feed, run_live
from api.request import Request
from kernel.codes import Kind
from kernel.schema import join_rows

ROOT = Path(__file__).parents[2]
TWO = ("--strategy", "ema_cross,fast=3,slow=9,quantity=20", "--strategy", "sma_rsi_stop,fast=4,slow=11,quantity=10")
ACCOUNT = "main-paper"
DIGESTS = ("tape_digest", "decision_digest", "state_digest")
BAR, SIGNAL, SUBMITTED, FILLED = (
    int(kind) for kind in (Kind.BAR, Kind.SIGNAL, Kind.ORDER_SUBMITTED, Kind.ORDER_FILLED)
)
MINE = '''
@strategy
class Mine:
    """Buys above its average, sells below it."""

    period = Param(8, low=2, high=100)
    average = Ema(period)

    def on_bar(self, bar, ctx):
        if ctx.position == 0 and ctx.working == 0 and bar.close > self.average.value * 1.0002:
            return buy(10)
        if ctx.position > 0 and bar.close < self.average.value * 0.9998:
            return sell(ctx.position)
        return HOLD
'''


def stored(folder: Path) -> tuple[np.ndarray, dict[int, str]]:
    """All rows and notes of a tape."""
    parts, notes = [], {}
    for rows, texts in read_rows(folder):
        parts.append(rows.copy())
        notes.update(texts)
    return join_rows(parts), notes


def rewrite(folder: Path, change: Callable[[np.ndarray], np.ndarray], notes_change: Callable | None = None) -> None:
    """Write the tape in `folder` again with `change(rows)`, chain and digests valid: what a careful forger would do."""
    rows, notes = stored(folder)
    rows = change(rows.copy())
    if notes_change is not None:
        notes = notes_change(notes)
    if not (folder / "manifest.json").is_file():
        sources = (folder / "sources.json").read_bytes()
        for path in folder.iterdir():  # a folder that held a tape and holds none is not written anew
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        with TapeWriter(folder) as tape:
            for start in range(0, len(rows), 500):
                part = rows[start : start + 500]
                first, last = int(part["seq"][0]), int(part["seq"][-1])
                tape.append(part, {seq: text for seq, text in notes.items() if first <= seq <= last}, durable=False)
        (folder / "sources.json").write_bytes(sources)
        return
    manifest, refs = read_manifest(folder), read_refs(folder)
    shutil.rmtree(folder)
    with SealedWriter(folder) as writer:
        writer.add(rows, notes)
        for ref in refs:
            writer.add_ref(canonical_json(ref))
        own = ("format", "rows", "last_seq", "refs", "tape_digest", "files", "decision_digest")
        writer.finish({name: value for name, value in manifest.items() if name not in own})


def first_of(rows: np.ndarray, kind: int, nth: int = 0) -> int:
    """Place of the `nth` row of a kind."""
    return int(np.flatnonzero(rows["kind"] == kind)[nth])


def start_cli(home: Path, *arguments: str, **environment: str) -> subprocess.Popen:
    """The command line in a process of its own."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    asked = [sys.executable, "-m", "api.cli", "--home", str(home), *arguments]
    return subprocess.Popen(asked, cwd=home, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def account_of(home: Path) -> Path:
    return home / "tapes" / "accounts" / ACCOUNT


def damage(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix != ".lock"}


# Live sessions

REQUEST = Request(TWO[1::2])
MAX = parse_feed("replay:nse@max")


def live(home: Path, stop_after: int | None = None, request: Request = REQUEST, account: str = "main") -> dict:
    """Trade until the feed ends, or about `stop_after` more bars were taken."""
    stop = threading.Event()

    def seen(bars: int) -> None:
        if stop_after is not None and bars >= stop_after:
            stop.set()

    return run_live(home, load_settings(), request, MAX, account, stop, seen)


def check_account(home: Path, good, decisions: str) -> None:
    """Whole, replayable, every order once, and the decisions of the backtest."""
    rows, _ = stored(account_of(home))
    assert rows["seq"].tolist() == list(range(1, len(rows) + 1))
    bars = rows[rows["kind"] == int(Kind.BAR)]
    assert len(np.unique(bars[["ts_init", "instrument"]])) == len(bars)
    orders = rows[rows["kind"] == SUBMITTED]
    assert len(np.unique(orders["order_id"])) == len(orders) > 30
    found = good(home, "replay", "main-paper")
    assert found["identical"] and found["decision_digest"] == decisions
    assert good(home, "verify", "main-paper")["tape_digest"] == found["tape_digest"]
