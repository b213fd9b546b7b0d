"""A backtest is one sequence of bytes, however it is fed, wherever it runs; and it does not see the future."""

import json

import numpy as np
import pytest

from adapters.settings_source import load_settings
from adapters.tape.reader import read_refs
from api import backtest as backtest_module
from api import replay as replay_module
from api.backtest import decimal_text, run_backtest
from api.replay import replay_run
from api.request import Request
from kernel.codes import Kind
from kernel.jit import COMPILED
from tests.api.conftest import DAYS
from tests.api.running import BAR, DIGESTS, FILLED, SIGNAL, TWO, start_cli, stored

KEYS = {
    "run_id", "bars", "events", "signals", "orders", "fills", "final_equity", "realized", "fees", "tape_digest",
    "decision_digest", "state_digest", "seconds", "bars_per_second",
}  # fmt: skip
SPECS = TWO[1::2]


class Sips:
    """A feed that hands out at most `most` inputs at a time."""

    def __init__(self, feed, most: int) -> None:
        self._feed, self._most = feed, most

    def read_into(self, records: np.ndarray) -> int:
        return self._feed.read_into(records[: self._most])


def test_json_of_a_backtest(home, good):
    found = good(home, "backtest", *TWO)
    assert found.keys() >= KEYS
    assert found["fills"] > 40 and found["faults"] == 0 and found["faults_text"] == []
    rows, notes = stored(home / "runs" / found["run_id"])
    assert len(rows) == found["stored_events"] == found["events"] - found["bars"]
    assert not (rows["kind"] == BAR).any()
    kinds = {Kind(int(k)).name: int(n) for k, n in zip(*np.unique(rows["kind"], return_counts=True), strict=True)}
    assert kinds["SIGNAL"] == found["signals"] and kinds["ORDER_FILLED"] == found["fills"]
    assert list(notes) == [1] and json.loads(notes[1])["mode"] == "BACKTEST"
    assert str(home) not in json.dumps(notes), "no path in any digest"
    [ref] = read_refs(home / "runs" / found["run_id"])
    assert ref["count"] == found["bars"] == found["events"] - len(rows)
    fees = sum(int(f) for f in rows[rows["kind"] == FILLED]["fee"])
    assert found["fees"] == float(decimal_text(fees))


@pytest.mark.parametrize("most", [1, 7, 1_000])
def test_batch_sizes_change_nothing(home, monkeypatch, most):
    request, settings = Request(SPECS, symbols=["ACC", "ZEEL", "TCS"]), load_settings()
    whole = run_backtest(home, settings, request)
    monkeypatch.setattr(backtest_module, "make_feed", lambda *a, make=backtest_module.make_feed: Sips(make(*a), most))
    sipped = run_backtest(home, settings, request)
    assert [sipped.manifest[name] for name in DIGESTS] == [whole.manifest[name] for name in DIGESTS]
    a, b = stored(whole.folder), stored(sipped.folder)
    assert a[0].tobytes() == b[0].tobytes() and a[1] == b[1]
    monkeypatch.setattr(replay_module, "make_feed", lambda *a, make=replay_module.make_feed: Sips(make(*a), most))
    assert replay_run(home, whole.folder).identical


@pytest.mark.sim
def test_processes_hash_seeds_and_the_interpreter(home, good):
    """Two processes with other hash seeds, and a slice interpreted and compiled: every digest the same."""
    piece = ("--symbols", "ACC,ZEEL", "--to", DAYS[0])
    others = [
        start_cli(home, "backtest", *TWO, "--json", PYTHONHASHSEED="1"),
        start_cli(home, "backtest", *TWO, "--json", PYTHONHASHSEED="4242"),
        start_cli(home, "backtest", *TWO, *piece, "--json", ONETAPE_JIT="0", PYTHONHASHSEED="7"),
    ]
    here, here_piece = good(home, "backtest", *TWO), good(home, "backtest", *TWO, *piece)
    said = []
    for process in others:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        said.append(json.loads(out))
    ids = {found["run_id"] for found in [here, here_piece, *said]}
    assert len(ids) == 5
    for name in (*DIGESTS, "final_equity", "fees", "events"):
        assert said[0][name] == said[1][name] == here[name], name
        assert said[2][name] == here_piece[name], name
    assert here_piece["fills"] > 5
    if COMPILED:  # and the interpreter's run replays compiled
        assert good(home, "replay", said[2]["run_id"])["identical"]


def test_order_of_symbols_and_repeats_do_not_matter(home, good):
    found = [good(home, "backtest", *TWO, "--symbols", s) for s in ("TCS,ACC,ZEEL", "ZEEL,TCS,ACC", "ACC,ACC,TCS,ZEEL")]
    for name in DIGESTS:
        assert len({f[name] for f in found}) == 1
    other = good(home, "backtest", *TWO, "--symbols", "TCS,ACC")
    assert other["tape_digest"] != found[0]["tape_digest"]


def test_what_decides_the_bytes(home, good):
    """Cash, fees, parameters, dates: each makes another tape; a second home with the same data the same one."""
    base = good(home, "backtest", *TWO)
    for more in (("--cash", "123456"), ("--fees", "bps:9"), ("--from", DAYS[1]), ("--symbols", "ACC")):
        assert good(home, "backtest", *TWO, *more)["tape_digest"] != base["tape_digest"]
    assert good(home, "backtest", *TWO[:2])["tape_digest"] != base["tape_digest"]


# The future ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("symbols", ["ACC,INFY,TCS,NIFTY,ZEEL", "ZEEL,NIFTY"])
def test_cutting_the_future_off_changes_nothing_before(home, good, symbols):
    """Byte for byte, seq included."""
    long = good(home, "backtest", *TWO, "--symbols", symbols)
    short = good(home, "backtest", *TWO, "--symbols", symbols, "--to", DAYS[0])
    assert 0 < short["fills"] < long["fills"]
    a, _ = stored(home / "runs" / long["run_id"])
    b, _ = stored(home / "runs" / short["run_id"])
    last = int(b["ts_init"][-1])
    ended = int(np.flatnonzero(b["kind"] == int(Kind.RUN_ENDED))[0])
    assert ended >= len(b) - 2
    cut = b[:ended]
    assert a[: len(cut)].tobytes() == cut.tobytes()
    assert int(a[len(cut)]["ts_init"]) > last


def test_a_changed_future_changes_nothing_before(tmp_path, good, load):
    """The same first bars, other ones later: the same decisions on the first ones, in every instrument."""
    from adapters.market.actions import action_columns
    from adapters.market.generate import generate_sessions
    from adapters.market.instruments import Instrument, Registry
    from adapters.market.writer import MarketWriter

    symbols = ["A", "B", "C"]
    columns = generate_sessions(3, symbols, 1)
    cut = int(columns["ts_init"][len(columns["ts_init"]) // 2])
    later = columns["ts_init"] > cut
    found = []
    for k in range(2):
        home = tmp_path / f"home{k}"
        registry = Registry.load(home)
        registry.add(Instrument(-1, s, 500) for s in symbols)
        registry.save()
        changed = {n: v.copy() for n, v in columns.items()}
        for name in ("open", "high", "low", "close"):
            changed[name][later] += k * 500 * 40  # from the cut on everything is dearer
        with MarketWriter(home, "t", [(n, s) for n, s in enumerate(symbols)]) as tape:
            tape.add(changed)
            tape.finish(action_columns([]), [], {})
        run = good(home, "backtest", *TWO)
        rows, _ = stored(home / "runs" / run["run_id"])
        found.append(rows)
    a, b = (rows[1:][rows[1:]["ts_init"] <= cut] for rows in found)  # but for RUN_STARTED, which is equal too
    assert (a["kind"] == SIGNAL).sum() > 20
    assert a.tobytes() == b.tobytes()
    assert found[0].tobytes() != found[1].tobytes()


def test_warm_up_suppresses_orders_and_fills_the_memory(home, good):
    cold = good(home, "backtest", *TWO, "--from", DAYS[1])
    warm = good(home, "backtest", *TWO, "--from", DAYS[1], "--warm-up-days", 1)
    assert warm["bars"] > cold["bars"] * 1.9
    first = int(np.datetime64(f"{DAYS[1]}T00:00", "ns").astype("i8")) - 330 * 60 * 10**9
    rows, _ = stored(home / "runs" / warm["run_id"])
    decided = rows[np.isin(rows["kind"], [SIGNAL, int(Kind.ORDER_SUBMITTED), FILLED])]
    assert len(decided) and int(decided["ts_init"].min()) > first
    cold_rows, _ = stored(home / "runs" / cold["run_id"])
    assert decided["ts_init"].min() < cold_rows[cold_rows["kind"] == SIGNAL]["ts_init"].min()
    assert good(home, "replay", warm["run_id"])["identical"]


def test_a_failed_backtest_leaves_nothing(home, call):
    said = call(home, "backtest", *TWO, "--from", "2031-01-01")
    assert said.code == 2 and "no bars in that range" in said.err
    assert not list((home / "runs").glob("*"))


@pytest.mark.parametrize(
    ("units", "text"),
    [(0, "0.00"), (1, "0.0001"), (-1, "-0.0001"), (12_345, "1.2345"), (12_340, "1.234"), (12_300, "1.23"),
     (10_000, "1.00"), (-10_500, "-1.05"), (10**17 + 1, "10000000000000.0001")],
)  # fmt: skip
def test_decimal_text(units, text):
    assert decimal_text(units) == text
