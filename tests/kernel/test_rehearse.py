"""Recorded rows in the place of decisions: by the same code, the very state that deciding led to, memory included."""

import numpy as np
import pytest

from kernel.codes import Kind, Origin, TimerCode
from kernel.state import PERSISTENT
from tests.kernel.play import MINUTE, TICK, event, make_engine, market, of, run_bars, split

TWO = ("ema_cross,fast=3,slow=9,quantity=20", "sma_rsi_stop,fast=4,slow=11,quantity=10")
THREE = tuple((number, TICK, 1) for number in range(3))


def engine_of(load, specs=TWO, **settings):
    loaded = [load(spec) for spec in specs]
    settings = {"equity_interval": 15 * MINUTE, "fee_rate": 300_000, **settings}
    return make_engine([(one.program, one.params) for one in loaded], instruments=THREE, **settings)


@pytest.fixture(scope="module")
def recorded(load):
    """(state digest, tape) of 900 slices of three instruments with a split, a halt and an end."""
    bars = market(3, 900)
    half = int(np.flatnonzero(bars["flags"])[450]) + 1
    at = bars[half - 1]["ts_init"] / MINUTE
    stream = [*bars[:half], split(at, 2, 1, 1), event(Kind.TRADING_STATE_CHANGED, at, setting=1), *bars[half:]]
    engine = engine_of(load)
    tape = run_bars(engine, [*stream, event(Kind.RUN_ENDED, bars[-1]["ts_init"] / MINUTE)])
    assert len(of(tape, Kind.ORDER_FILLED)) > 100 and len(of(tape, Kind.ORDER_DENIED)) > 10
    return engine.digest(), tape


def rehearsed(engine, tape, batch: int) -> int:
    """Fold `tape` in pieces of about `batch` rows that end before an EXTERNAL row; how many calls differed."""
    ends = np.append(np.flatnonzero(tape["origin"] == Origin.EXTERNAL)[1:], len(tape))
    start = differing = 0
    while start < len(tape):
        place = max(np.searchsorted(ends, start, "right"), np.searchsorted(ends, start + batch, "right") - 1)
        end = int(ends[place])
        differing += engine.rehearse(tape[start:end])
        start = end
    return differing


@pytest.mark.parametrize("batch", [1, 7, 1_000, 4_000])
def test_the_same_code_arrives_at_the_same_state(load, recorded, batch):
    digest, tape = recorded
    engine = engine_of(load)
    assert rehearsed(engine, tape, batch) == 0
    assert engine.digest() == digest


def test_it_goes_on_deciding_from_there(load, recorded):
    _, tape = recorded
    later = market(5, 60)
    later["ts_init"] += tape[-1]["ts_init"]
    later["ts_event"] += tape[-1]["ts_init"]
    later["ts_open"] += tape[-1]["ts_init"]
    executed, folded = engine_of(load), engine_of(load)
    run_bars(executed, tape[tape["origin"] == Origin.EXTERNAL])
    rehearsed(folded, tape, 1_000)
    ours = run_bars(folded, later)
    assert ours.tobytes() == run_bars(executed, later).tobytes()
    assert len(of(ours, Kind.SIGNAL)) > 0


def test_other_code_changes_memory_and_nothing_else(load, recorded):
    """Orders, positions and money are the tape's; only what the strategies remember is their own."""
    _, tape = recorded
    same, other = engine_of(load), engine_of(load, ("ema_cross,fast=4,slow=9,quantity=20", TWO[1]))
    rehearsed(same, tape, 1_000)
    assert rehearsed(other, tape, 1_000) > 10
    for name, _ in PERSISTENT:
        equal = getattr(same.state, name).tobytes() == getattr(other.state, name).tobytes()
        assert equal == (name != "memory"), name


def test_a_fault_of_other_code_stops_nobody(load, strategy_file, recorded):
    _, tape = recorded
    broken = strategy_file(
        "@strategy\nclass Broken:\n    def on_bar(self, bar, ctx):\n        return buy(1 // (ctx.position - ctx.position))\n"
    )
    engine = engine_of(load, (TWO[0], f"{broken}:Broken"))
    assert rehearsed(engine, tape, 1_000) > 100
    assert engine.account.faults == 0


TIMED = """@strategy
class Timed:
    seen = Int()
    def on_bar(self, bar, ctx):
        return HOLD
    def on_timer(self, timer, ctx):
        self.seen += ctx.working + 10 * int(ctx.cash)
        return buy({qty}) if ctx.instrument != 1 else HOLD
"""


def test_each_call_of_a_timer_has_its_own_answers(load, strategy_file):
    """The calls for all instruments have one cause; the second sees the account with the order of the first only."""

    def engine(qty):
        return engine_of(load, (f"{strategy_file(TIMED.format(qty=qty), f'timed_{qty}.py')}:Timed",))

    stream = []
    for one in market(3, 40):
        stream.append(one)
        if one["flags"] & 1:
            stream.append(event(Kind.TIMER, one["ts_init"] / MINUTE, code=int(TimerCode.SESSION_OPEN)))
    executed, same, other = engine(1), engine(1), engine(0)
    tape = run_bars(executed, stream)
    assert len(of(tape, Kind.SIGNAL)) == 80
    assert rehearsed(same, tape, 100) == 0 and same.digest() == executed.digest()
    assert rehearsed(other, tape, 100) >= 40, "what no call asked for is said, too"
