"""Run the benchmarks: `./just bench [--quick] [--huge]`. Nothing else should run on the machine meanwhile."""

import argparse
import compileall
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench import indicators, loops, risk, strategy_loops, tape

ROOT = Path(__file__).parents[2]
STRATEGIES = ROOT / "tests" / "bench" / "strategies.py"
KNOWN = {  # the cross-check of several engines on the same bars: round trips, fills, PnL (fees unrounded there)
    ("a", "Light"): (18_363, 36_726, -1_932_453.11),
    ("a", "Heavy"): (16_180, 32_360, -1_684_441.37),
    ("b", "Light"): (17_824, 35_677, -1_676_721.55),
    ("b", "Heavy"): (15_784, 31_592, -1_500_979.43),
}
Row = dict[str, Any]


def onetape(home: Path, *arguments: str, env: dict[str, str] | None = None) -> tuple[float, float, dict[str, Any]]:
    """(outer seconds, peak MB, JSON) of one command in its own process."""
    command = [sys.executable, "-m", "api.cli", "--home", str(home), *arguments, "--json"]
    started = time.perf_counter()
    done = subprocess.Popen(
        command, cwd=ROOT, env=dict(os.environ, **(env or {})), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = done.communicate()
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{err.decode()}")
    found = json.loads(out)
    return seconds, found["peak_memory_mb"], found


def backtest(home: Path, name: str, env: dict[str, str] | None = None) -> tuple[float, float, dict[str, Any]]:
    return onetape(home, "backtest", "--strategy", f"{STRATEGIES}:{name}", "--cash", "100000000", env=env)


def check_known(work: Path) -> list[Row]:
    """The four cross-check rows, through the whole product."""
    rows = []
    for letter, symbols, bars in (("a", 1, 1_000_000), ("b", 50, 20_000)):
        home = loops.home_of(work, symbols, bars)
        for name in ("Light", "Heavy"):
            seconds, _, found = backtest(home, name)
            trips, fills, pnl = KNOWN[letter, name]
            sells = loops.sell_fills(home, found["run_id"])
            got = found["final_equity"] - 100_000_000
            rows.append(
                {
                    "what": f"{letter} {name.lower()}: round trips, fills, PnL",
                    "value": f"{sells:,} {found['fills']:,} {got:,.4f}",
                    "target": f"{trips:,} {fills:,} {pnl:,.2f}",
                    "ok": sells == trips and found["fills"] == fills and abs(got - pnl) < 5.0,
                    "seconds": round(seconds, 3),
                }
            )
    return rows


def kernel_rows(work: Path, bars: int) -> list[Row]:
    rows = []
    for name in ("Light", "Heavy"):
        rate, bare = loops.kernel_against_bare(loops.workload(50, bars), STRATEGIES, name)
        rows.append(row(f"kernel loop, {name.lower()}, 50 x {bars:,}, M bars/s", rate / 1e6, 15, at_least=True))
        rows.append(row(f"  share of a bare numba loop ({bare / 1e6:,.0f} M bars/s)", rate / bare, 0.15, at_least=True))
    return rows


def risk_rows(bars: int) -> list[Row]:
    """Every limit set against none, and many resting orders against few."""
    on, off, an_order = risk.checks_on_against_off(loops.workload(50, bars // 50), STRATEGIES)
    rows = [
        row(f"all risk checks on / off ({on / 1e6:.2f} / {off / 1e6:.2f} M orders/s)", on / off, 0.7, at_least=True)
    ]
    rows.append(row("  with them on, M bars/s, an order nearly every bar", on * an_order / 1e6, None))
    on, off, an_order = risk.checks_on_against_off(loops.workload(50, bars // 50), STRATEGIES, "Heavy")
    name = f"  SMA + RSI with a stop per trade, an order every {an_order:.0f} bars"
    rows.append(
        row(f"{name} ({on * an_order / 1e6:.1f} / {off * an_order / 1e6:.1f} M bars/s)", on / off, 0.7, at_least=True)
    )
    for symbols in (1, 50):
        many, few, left = risk.many_against_few(loops.workload(symbols, bars // symbols), STRATEGIES)
        name = f"1,024 resting orders / 16, {symbols} symbol{'s' * (symbols > 1)}, {left:,} left"
        rows.append(row(f"{name} ({many / 1e6:.1f} / {few / 1e6:.1f} M bars/s)", many / few, 0.7, at_least=True))
    return rows


def indicator_rows(bars: int) -> list[Row]:
    """Every indicator, compiled, in one loop over an array of bars."""
    found = indicators.rates(bars)
    return [row(f"{text}, M updates/s", rate, target, at_least=True) for text, rate, target in found]


def strategy_rows(bars: int) -> list[Row]:
    """Plain Python, and 500 symbols x 5 strategies: calls a second stay what they are where it scales linearly."""
    plain = strategy_loops.rate([str(strategy_loops.PLAIN)], 50, bars // 50)
    rows = [row("a strategy in plain Python that does nothing, M bars/s", plain / 1e6, 0.3, at_least=True)]
    for what, rate, calls in strategy_loops.table(bars):
        rows.append(row(f"  {what}, M bars/s ({calls:.1f} M calls/s)", rate, None))
    return rows


def process_rows(work: Path, huge: bool) -> list[Row]:
    home, rows, peaks = loops.home_of(work, 50, 200_000), [], {}
    for name in ("Light", "Heavy"):
        backtest(home, name)
        times = []
        for _ in range(3):
            loops.drop_from_cache(home)
            seconds, peak, found = backtest(home, name)
            times.append(seconds)
            peaks[name] = peak
        rate = found["bars"] / statistics.median(times)
        target = 4e6 if name == "Light" else None
        rows.append(
            row(f"whole process, {name.lower()}, 10 M bars, M bars/s", rate / 1e6, target and target / 1e6, True)
        )
    rows.append(row("  peak memory, light, 10 M bars, MB", peaks["Light"], 600))
    if huge:
        home = loops.home_of(work, 50, 1_000_000)
        _, peak, _ = backtest(home, "Light")
        rows.append(row("  peak memory at 50 M bars / at 10 M", peak / peaks["Light"], 1.1))
    return rows


def sql_rows(work: Path, huge: bool) -> list[Row]:
    """Questions over sealed bars, as `onetape sql` asks them, in one connection that has asked before."""
    bars = 1_000_000 if huge else 200_000
    home = loops.home_of(work, 50, bars)
    by_day, one_day, groups = loops.ask_bars(home)
    millions = 50 * bars // 1_000_000
    return [
        row(f"SQL over {millions} M sealed bars: count by day, s", by_day, 1),
        row("  one instrument's day, ms", one_day * 1e3, 50),
        row("  row groups that reads", groups, 2),
    ]


def start_rows(work: Path) -> list[Row]:
    home = loops.home_of(work, 1, 1_000)
    backtest(home, "Light")
    warm = statistics.median(backtest(home, "Light")[0] for _ in range(5))
    cold = work / "cold-cache"
    shutil.rmtree(cold, ignore_errors=True)
    all_cold = backtest(home, "Light", {"ONETAPE_CACHE": str(cold)})[0]
    backtest(home, "Light", {"ONETAPE_CACHE": str(cold)})
    new = backtest(home, "Heavy", {"ONETAPE_CACHE": str(cold)})[0]
    return [
        row("process start to end on 1,000 bars, warm, s", warm, 1.5),
        row("a new strategy compiles in, s", new - warm, 3),
        row("engine cold compile, s", all_cold - new, 20),
    ]


def tape_rows(work: Path) -> list[Row]:
    appended, bare = loops.append_against_bare_us(work)
    group = tape.group_commit_rate(work)
    checked, alone = tape.check_rates(work)
    hinted, polled = tape.reader_lags_ms(work)
    return [
        row(f"durable append / bare write+fdatasync ({appended:.0f} / {bare:.0f} us)", appended / bare, 1.3),
        row("group commit, frames of 512, events/s", group, 500_000, at_least=True),
        row("check a tape, GB/s", checked / 1e9, 1, at_least=True),
        row(f"  share of SHA-256 alone ({alone / 1e9:.2f} GB/s)", checked / alone, None),
        row("open a tape of 1 M events in frames of four, s", tape.opening_s(work), 5),
        row("reader lag by hints, median, ms", hinted, 5),
        row("reader lag by polling, median, ms", polled, 300),
    ]


def row(what: str, value: float, target: float | None, at_least: bool = False) -> Row:
    ok = None if target is None else (value >= target if at_least else value <= target)
    sign = ">=" if at_least else "<="
    return {"what": what, "value": round(value, 4), "target": f"{sign} {target:g}" if target else "", "ok": ok}


def show(rows: list[Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("measurement", "value", "target", "", box=None, header_style="bold")
    for r in rows:
        value = (
            r["value"]
            if isinstance(r["value"], str)
            else f"{r['value']:,.3g}"
            if r["value"] < 100
            else f"{r['value']:,.0f}"
        )
        table.add_row(r["what"], value, r["target"], {True: "yes", False: "NO", None: ""}[r["ok"]])
    Console(width=110).print(table)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the kernel loop and live latencies only")
    parser.add_argument("--huge", action="store_true", help="also 50 million bars: flatness of memory, SQL")
    options = parser.parse_args()
    for folder in ("kernel", "projections", "adapters", "api"):  # as an installed product is
        compileall.compile_dir(ROOT / folder, quiet=1)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        rows = kernel_rows(work, 20_000)
        rows += [row("one live event through the step, median, us", loops.event_latency_us(STRATEGIES), 8)]
        rows += risk_rows(200_000)
        rows += tape_rows(work)
        if not options.quick:
            rows += start_rows(work) + check_known(work) + kernel_rows(work, 200_000) + process_rows(work, options.huge)
            rows += sql_rows(work, options.huge)
            rows += indicator_rows(1_000_000)
            rows += strategy_rows(1_000_000)
    show(rows)
    out = ROOT / "bench-results" / f"{time.strftime('%Y%m%dT%H%M%S')}.json"
    out.parent.mkdir(exist_ok=True)
    machine = {"machine": platform.platform(), "cpus": os.cpu_count(), "python": platform.python_version()}
    out.write_text(json.dumps({**machine, "numpy": np.__version__, "rows": rows}, indent=1) + "\n")
    print(f"kept in {out.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
