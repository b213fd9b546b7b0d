"""Orders against reports, by chance: two hundred thousand transitions, each held against a model in plain Python.

One half trades at the simulated venue, with every model, order, product, limit and class there is; the other at a broker
that keeps its word and delivers it late, twice, in another order and among rubbish. What failed is told with as few
switches, pieces and slices as still show it. `chance.py` makes the worlds, `broker.py` the broker, `model.py` judges.
"""

from collections import Counter
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kernel.codes import Flag, InstrumentClass, Kind, Product, Reason, Status, TimerCode, TradingState
from kernel.fold import Fold
from kernel.jit import COMPILED
from kernel.lifecycle import LEGAL_MOVES
from kernel.rows import ORDER
from kernel.schema import join_rows
from kernel.state import Capacity, Rules, Terms
from kernel.units import SHARE
from tests.kernel import play
from tests.kernel.broker import Broker
from tests.kernel.chance import CHARGES, STRATEGIES, SWITCHES, TERMS, World
from tests.kernel.laws import check_links, check_reserve
from tests.kernel.model import Model
from tests.kernel.play import (
    LIMIT,
    SCRIPTED,
    STOP,
    TICK,
    WIDE,
    as_events,
    cancel_order,
    change_order,
    check_books,
    event,
    flat,
    of,
    order,
    run_bars,
    script,
    split,
    units,
)
from tests.kernel.test_order_traps import played, report

BUY, SELL = 1, -1
HABITS = ("late", "reordered", "rubbish", "twice", "restarts")
NOT_LIVE = {
    "actions",
    "expiries",
    "latency",
    "participation",
    "queue",
    "slippage",
    "trade_bars",
}  # the venue's own, or not a broker's
PIECES = st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 14)), min_size=1, max_size=16)
PHASES = (Phase.generate, Phase.shrink)  # explaining would trace every line
SEEDS = st.integers(0, 2**31 - 1)


def switches(names):
    """Which of `names` are on; with fewer of them, simpler."""
    return st.tuples(*(st.booleans() for _ in names)).map(
        lambda on: frozenset(name for name, is_on in zip(names, on, strict=True) if is_on)
    )


def by_chance(examples: int):
    return settings(max_examples=examples if COMPILED else 3, phases=PHASES, suppress_health_check=list(HealthCheck))


def check(engine) -> None:
    with mock.patch.object(play, "check_reserve", return_value=None):  # it knows shares that are paid in full
        check_books(engine)
    check_reserve(engine)


def model_of(world: World) -> Model:
    return Model(world.cash, TERMS, world.limits, STRATEGIES, world.rules.get("bar_kind") == 1)


def check_fold(world: World, tapes: list) -> None:
    """Folding the tape gives the tables that the step left: `evolve` alone changes state."""
    rules = Rules(cash=world.cash, simulate=world.simulate, currencies=2, **world.rules)
    capacity = Capacity(instruments=64, strategies=16, open_orders=32, batch=4096, lots=256)
    fold = Fold(capacity, rules, world.limits, TERMS, STRATEGIES, CHARGES if "charges" in world.on else ())
    fold.add(join_rows(tapes))
    there, here = world.engine.state, fold.state
    for name in ("purses", "books", "positions", "gone", "lots", "trades", "limits", "segments"):
        assert (getattr(here, name) == getattr(there, name)).all(), name
    trails = {
        "trigger_px",
        "ts_submitted",
        "bars_submitted",
    }  # a trigger trails when a slice closes: a fold closes none
    for name in ORDER.names:
        assert name in trails or (here.orders[name] == there.orders[name]).all(), name


class Count:
    """What the sequences of a test reached."""

    def __init__(self):
        self.rows, self.seen, self.denials, self.kinds = 0, Counter(), Counter(), Counter()

    def add(self, model: Model) -> None:
        self.rows += model.seq
        self.seen += model.seen
        self.denials += model.denials
        self.kinds += model.kinds


def simulate(one, seed: int, on: frozenset, pieces: list, count: Count) -> None:
    world = World(one, seed, on)
    model, tapes = model_of(world), []
    for number, slices in pieces:
        rows = world.go(number, slices)
        if rows:
            tapes.append(world.feed(join_rows(rows)))
            model.take(tapes[-1])
            model.compare(world.engine)
            if "latency" not in on:
                check_links(world.engine)
        if number % 4 == 0:
            check(world.engine)
        if number % 3 == 0:
            world.restart()
    if number % 2 == 0:
        tapes.append(world.feed([event(Kind.RUN_ENDED, world.t)]))
        model.take(tapes[-1])
    check(world.engine)
    check_fold(world, tapes)
    count.add(model)


def live(one, seed: int, on: frozenset, habits: frozenset, pieces: list, count: Count) -> None:
    world = World(one, seed, on - NOT_LIVE, simulate=False)
    model, broker, tapes = model_of(world), Broker(seed, habits), []

    def hear(reports, *rows):
        tape = world.feed(join_rows([as_events(reports), *rows]))
        tapes.append(tape)
        model.take(tape)
        broker.hear(tape)

    for number, slices in pieces:
        for rows in world.go(number, slices):
            broker.trade(12)
            hear(broker.deliver(int(rows["ts_init"][0]), model), rows)
        model.compare(world.engine)
        if number % 4 == 0:
            check(world.engine)
        if "restarts" in habits:
            world.restart()
    for _ in range(300):  # what is under way arrives
        if broker.is_done():
            break
        broker.trade(20)
        hear(broker.deliver(int(world.engine.account.ts), model, everything=True))
    assert broker.is_done()
    model.compare(world.engine)
    broker.agree(model)
    check(world.engine)
    check_fold(world, tapes)
    count.add(model)


def run_simulated(load, examples: int) -> Count:
    count, one = Count(), load(SCRIPTED)

    @by_chance(examples)
    @given(SEEDS, switches(SWITCHES), PIECES)
    def go(seed, on, pieces):
        simulate(one, seed, on, pieces, count)

    go()
    return count


def run_live(load, examples: int) -> Count:
    count, one = Count(), load(SCRIPTED)

    @by_chance(examples)
    @given(SEEDS, switches(SWITCHES), switches(HABITS), PIECES)
    def go(seed, on, habits, pieces):
        live(one, seed, on, habits, pieces, count)

    go()
    return count


def moves_of(count: Count) -> set:
    return {(Status(status), Kind(kind)) for status, kind in count.seen}


def test_every_move_at_the_simulated_venue(load):
    count = run_simulated(load, 120)
    if COMPILED:
        assert count.rows >= 130_000, f"{count.rows:,} transitions"
        assert len(count.denials) >= 35 and len(moves_of(count)) >= 35
        assert count.kinds[Kind.ORDER_FILLED] > 4_000 and count.kinds[Kind.TRIPPED] > 100


def test_every_report_of_a_hostile_broker(load):
    count = run_live(load, 60)
    if COMPILED:
        assert count.rows >= 70_000, f"{count.rows:,} transitions"
        assert len(moves_of(count)) >= 42 and count.kinds[Kind.ANOMALY] > 2_000


@pytest.mark.sim
def test_millions_of_moves(load):
    simulated, told = run_simulated(load, 1_500), run_live(load, 1_500)
    if not COMPILED:
        return
    assert simulated.rows + told.rows >= 3_000_000
    legal = {(status, kind) for status, kind, _ in LEGAL_MOVES if status != Status.NONE}
    legal -= {  # what waits goes with its parent, and who has filled a part does not reject
        (Status.PENDING_NEW, Kind.ORDER_EXPIRED),
        (Status.PARTIALLY_FILLED, Kind.ORDER_REJECTED),
    }
    assert moves_of(simulated) | moves_of(told) >= legal, "a move of the table that no sequence makes"


class TestTogether:
    """What the sequences above reach too seldom to be sure of it."""

    def test_exits_of_two_entries_close_no_more_than_there_is(self, scripted):
        asked = [
            (at, one)
            for at in (1, 2)
            for one in (order(BUY, 5), order(SELL, 5, STOP, trigger=90, flags=Flag.HELD, link=1))
        ]
        engine, _ = played(scripted, [*asked, (3, order(SELL, 4))], *(flat(t, 100) for t in range(1, 6)))
        assert engine.state.positions["qty"].sum() == engine.state.orders["leaves_qty"].sum() == 6
        check_links(engine)

    def test_a_pair_fills_once_however_little_at_a_time(self, scripted):
        pair = [
            (1, order(BUY, 10, LIMIT, 95, flags=Flag.OCO)),
            (1, order(BUY, 10, STOP, trigger=105, flags=Flag.OCO, link=1)),
        ]
        bars = [flat(1, 100), flat(2, 94, volume=40), flat(3, 106, volume=1_000)]
        engine, _ = played(scripted, pair, *bars, participation=SHARE // 10)
        assert engine.state.positions["qty"].sum() == 10
        check_links(engine)


class TestDefects:
    """Found by the sequences above, as small as they get, and mended."""

    def live(self, scripted, asked, *steps, **settings_of_run):
        engine = scripted(1, simulate=False, **settings_of_run)
        script(engine, 1, 0, asked)
        return engine, join_rows([run_bars(engine, [step]) for step in steps])

    def filled(self, t, qty, **more):
        return report(Kind.ORDER_FILLED, t, qty=qty, px=units(95), **more)

    BUY_TEN = ((1, order(BUY, 10, LIMIT, 95)), (2, change_order(qty=20)))

    def test_a_cancel_that_overtakes_a_change_and_its_fill(self, scripted):
        canceled = report(Kind.ORDER_CANCELED, 4)  # the exchange: changed to 20, filled for 15, the rest canceled
        asked = (*self.BUY_TEN, (3, cancel_order(3)))
        engine, _ = self.live(
            scripted, asked, flat(1, 100), flat(2, 100), flat(3, 100), canceled, self.filled(4, 15, ref=1)
        )
        assert engine.state.positions["qty"].sum() == 15

    def test_an_answer_that_comes_again_when_the_next_change_is_under_way(self, scripted):
        asked = (*self.BUY_TEN, (3, change_order(qty=30)))
        once, then = (report(Kind.ORDER_REPLACED, 3, qty=qty, px=units(95)) for qty in (20, 30))
        steps = [flat(1, 100), flat(2, 100), once, flat(3, 100), once, then, self.filled(4, 30, ref=1)]
        engine, _ = self.live(scripted, asked, *steps)
        assert engine.state.positions["qty"].sum() == 30

    def test_a_restatement_that_comes_late(self, scripted):
        again = report(Kind.ORDER_RESTATED, 2, qty=10, leaves_qty=10, px=units(95))
        steps = [flat(1, 100), again, self.filled(2, 6, ref=1), again, self.filled(2, 4, ref=2)]
        engine, _ = self.live(scripted, self.BUY_TEN[:1], *steps)
        assert (engine.account.open_orders, engine.state.positions["qty"].sum()) == (0, 10)

    def test_fees_that_no_account_holds(self, scripted):
        fills = [self.filled(2, 1, ref=ref, fee=2**62 - 1) for ref in (1, 2)]
        _, tape = self.live(scripted, self.BUY_TEN[:1], flat(1, 100), *fills)
        assert of(tape, Kind.ANOMALY)["reason"].tolist()[-1] == Reason.OVERFLOW

    def test_a_tape_with_a_fill_of_no_instrument_is_folded(self, scripted):
        nowhere = event(Kind.ORDER_FILLED, 2, 99, order_id=3, qty=1, px=units(95))
        _, tape = self.live(scripted, self.BUY_TEN[:1], flat(1, 100), nowhere)
        assert of(tape, Kind.ANOMALY)["reason"].tolist() == [Reason.UNKNOWN_INSTRUMENT]
        Fold(Capacity(64, 16, 32, 64, 256), Rules(cash=units(1_000_000), simulate=False), WIDE, [(0, TICK, 1)], 1).add(
            tape
        )

    @pytest.mark.parametrize(
        "said",
        [
            event(Kind.SETTLED, 2, 0, strategy=1, side=1, qty=1_000, px=units(1)),
            event(Kind.CHARGED, 2, 0, strategy=1, brokerage=units(1_000)),
            report(Kind.ORDER_CANCEL_SUBMITTED, 2),
        ],
        ids=["settled", "charged", "cancel_submitted"],
    )
    def test_the_kernels_own_words_from_outside(self, scripted, said):
        engine, tape = self.live(scripted, self.BUY_TEN[:1], flat(1, 100), said)
        assert len(of(tape, Kind.ANOMALY)) == 1

    @pytest.mark.parametrize("stop", [
        event(Kind.TRADING_STATE_CHANGED, 2, setting=TradingState.HALTED), event(Kind.TRIPPED, 2, level=2),
    ], ids=["halted", "killed"])  # fmt: skip
    def test_a_halt_stops_a_change_of_what_only_reduces(self, scripted, stop):
        asked = [
            (1, order(BUY, 10)),
            (2, order(SELL, 10, LIMIT, 110, flags=Flag.REDUCE_ONLY)),
            (3, change_order(px=101.0)),
        ]
        _, tape = played(scripted, asked, flat(1, 100), flat(2, 100), stop, flat(3, 100))
        assert len(of(tape, Kind.ORDER_REPLACE_SUBMITTED)) == 0

    @pytest.mark.parametrize("name", ["max_open_orders", "max_orders_second", "max_orders_minute", "max_orders_day"])
    def test_slices_count_as_the_orders_they_are(self, scripted, name):
        terms = [Terms(0, TICK, 1, freeze=10)]
        _, tape = played(scripted, [(1, order(BUY, 50, LIMIT, 90))], flat(1, 100), instruments=terms, limits={name: 2})
        assert len(of(tape, Kind.ORDER_SUBMITTED)) <= 2

    def test_a_market_order_twice_under_price_protection(self, scripted):
        asked, limits = [(1, order(BUY, 10)), (1, order(BUY, 10))], {"duplicate_within": units(1)}
        _, tape = played(scripted, asked, flat(1, 100), limits=limits, band=SHARE // 100)
        assert of(tape, Kind.ORDER_DENIED)["reason"].tolist() == [Reason.DUPLICATE_ORDER]

    @pytest.mark.parametrize(
        ("limits", "change"),
        [
            ({"collar": SHARE // 50}, change_order(px=90.0)),
            ({"max_gross": units(2_000)}, change_order(qty=50)),
            ({"max_net": units(2_000)}, change_order(qty=50)),
            ({"max_underlying": units(2_000)}, change_order(qty=50)),
            ({"max_orders_minute": 1}, change_order(px=98.5)),
            ({"session_hours": 1}, change_order(px=98.5)),
            ({"self_cross": 1}, change_order(px=104.0)),
        ],
        ids=["collar", "gross", "net", "underlying", "minute", "hours", "cross"],
    )
    def test_a_change_is_held_to_the_limits(self, scripted, limits, change):
        first = [(1, order(SELL, 10, LIMIT, 103))] if "self_cross" in limits else []
        asked = [*first, (1, order(BUY, 10, LIMIT, 99)), (2, change)]
        closes = event(Kind.TIMER, 1.2, code=TimerCode.SESSION_CLOSE, setting=1)
        terms = [Terms(0, TICK, 1, calendar=1)]
        _, tape = played(scripted, asked, flat(1, 100), closes, flat(1.5, 100), limits=limits, instruments=terms)
        assert len(of(tape, Kind.ORDER_REPLACE_SUBMITTED)) == 0

    def test_shares_are_delivered_under_an_order_on_margin(self, scripted):
        share = Terms(0, TICK, 1, margin=SHARE // 5)
        future = Terms(1, TICK, 1, asset=InstrumentClass.FUTURE, margin=SHARE // 5, underlying=0, physical=1)
        engine = scripted(1, instruments=[share, future], cash=5_000)
        script(engine, 1, 0, [(1, order(BUY, 100, LIMIT, 95, product=Product.INTRADAY))])
        script(engine, 1, 1, [(1, order(BUY, 10))])
        both = [flat(t, 100, k, end=k == 1) for t in (1, 2) for k in (0, 1)]
        run_bars(engine, [*both, event(Kind.EXPIRY, 3, 1), flat(4, 94)])
        q = engine.purse
        assert q.cash - q.reserved - q.hold >= 0

    @pytest.mark.parametrize("fifo", [0, 1])
    def test_a_split_of_a_future_pays_no_more_than_its_gain(self, scripted, fifo):
        terms = [Terms(0, TICK, 1, asset=InstrumentClass.FUTURE, margin=SHARE // 5)]
        engine = scripted(1, instruments=terms, fifo=fifo)
        script(engine, 1, 0, [(1, order(BUY, 5))])
        run_bars(engine, [flat(1, 100), flat(2, 100), split(3, 1, 2)])
        check_books(engine)
        assert engine.purse.cash == units(1_000_000)
