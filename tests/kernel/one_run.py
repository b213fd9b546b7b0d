"""Run as a process of its own: three built-in strategies and one of linked orders on three instruments, digests of every byte on stdout."""

import json
import sys
from pathlib import Path

from adapters.strategies.load import load_strategy
from kernel.jit import COMPILED
from tests.kernel.play import TICK, make_engine, market, of, run_bars, tape_digest

SPECS = (
    "ema_cross,fast=3,slow=8",
    "sma_rsi_stop,fast=3,slow=8,rsi_period=5,rsi_low=20,rsi_high=90",
    "buy_and_hold",
    f"{Path(__file__).parent / 'linked.py'}:Linked,distance=0.3",
)


def one_run(slices: int, seed: int = 11) -> dict:
    loaded = [load_strategy(spec) for spec in SPECS]
    engine = make_engine(
        [(one.program, one.params) for one in loaded],
        instruments=tuple((k, TICK, 1) for k in range(3)),
        cash=200_000,
        fee_rate=300_000,
        fee_round=100,
        equity_interval=375 * 60 * 10**9,
    )
    tape = run_bars(engine, market(seed, slices))
    return {
        "bars": int(engine.account.bars),
        "fills": len(of(tape, 73)),
        "tape": tape_digest(tape),
        "state": engine.digest(),
        "snapshot": sorted(engine.save()),
    }


if __name__ == "__main__":
    print(json.dumps({**one_run(int(sys.argv[1])), "compiled": COMPILED}))
