"""The built-in strategy in plain Python: what it learns, from what, and what it then does."""

import numpy as np
import pytest

from kernel.codes import Kind
from kernel.strategies import ml_example
from kernel.strategies.ml_example import FEATURES, Learner
from tests.kernel.play import bar, check_books, make_engine, market, of, run_bars, tape_digest

WAVE = 20  # bars up, then as many down
PARAMS = {"horizon": 5, "cost": 0.001, "learn": 50, "rate": 0.2}


def waves(count) -> list[np.ndarray]:
    """A price that rises by 0.4 % a bar for WAVE bars and then falls back."""
    closes = [100.0 * 1.004 ** (WAVE - abs(k % (2 * WAVE) - WAVE)) for k in range(count + 1)]
    pairs = [(round(a / 0.05) * 0.05, round(b / 0.05) * 0.05) for a, b in zip(closes, closes[1:], strict=False)]
    return [bar(k, a, max(a, b), min(a, b), b) for k, (a, b) in enumerate(pairs, 1)]


@pytest.fixture
def play(load):
    one = load("ml_example")
    assert one.definition.python and len(one.code_hash) == 64

    def played(rows, instruments=((0, 500, 10),), batch=4096, **params):
        values = {**one.params, **PARAMS, **params}
        engine = make_engine([(one.program, values)], instruments=instruments, batch=batch)
        tape = run_bars(engine, rows)
        check_books(engine)
        assert engine.account.faults == 0 and not engine.savable
        return tape

    return played


@pytest.fixture
def history(monkeypatch):
    """The weights after every bar, in order."""
    kept = []

    class Watched(Learner):
        def remember(self, row, price):
            super().remember(row, price)
            kept.append(self.weights.copy())

    monkeypatch.setattr(ml_example, "Learner", Watched)
    return kept


def test_a_step_is_taken_once_its_outcome_is_known():
    """From nothing the probability is a half: the step is rate * (1 - 1/2) * row, two bars after the row."""
    one, first = Learner(2), np.array([1.0, 2.0, 0.0, -1.0, 0.5, 0.0])
    for price, row in ((100.0, first), (90.0, -first)):
        one.learn(price, 0.01, 0.1, 0.0)
        one.remember(row, price)
    assert one.rows == 0 and not one.weights.any()
    one.learn(101.5, 0.01, 0.1, 0.0)
    assert one.rows == 1 and one.weights == pytest.approx(0.05 * first, abs=1e-15)
    z = 0.05 * float((first * first).sum())
    assert one.probability(first) == pytest.approx(1 / (1 + np.exp(-z)), abs=1e-15)
    one.remember(first, 101.5)
    one.learn(90.5, 0.01, 0.1, 0.5)  # a rise by less than it costs is none
    stepped = 0.95 * 0.05 * first + 0.1 * (0.0 - 1 / (1 + np.exp(z))) * -first
    assert one.weights == pytest.approx(stepped, abs=1e-15) and len(first) == FEATURES


def test_it_holds_what_rises(play):
    tape = play(waves(900))
    held, qty, fills = [], 0, {int(e["ts_event"]): int(e["side"] * e["qty"]) for e in of(tape, Kind.ORDER_FILLED)}
    for k, e in enumerate(of(tape, Kind.BAR)):
        qty += fills.get(int(e["ts_open"]), 0)
        held.append((qty, k % (2 * WAVE) < WAVE))
        assert qty in (0, 10)
    late = held[500:]
    assert sum(qty > 0 for qty, up in late if up) > 0.7 * sum(up for _, up in late)
    assert sum(qty > 0 for qty, up in late if not up) < 0.3 * sum(not up for _, up in late)


def test_a_rise_that_does_not_pay_is_left(play):
    assert len(of(play(waves(900), cost=0.05), Kind.SIGNAL)) == 0
    for learn, signals in ((46, 0), (45, 1)):  # warm on bar 101, so on bar 150 it has learnt from 45 of 50 rows
        assert len(of(play(waves(150), learn=learn), Kind.SIGNAL)) == signals


def test_weights_know_nothing_of_later_bars(play, history):
    rows = waves(400)
    play(rows)
    whole = [w.tobytes() for w in history]
    history.clear()
    play([*rows[:300], *(bar(k, 50, 51, 49, 50) for k in range(301, 401))])
    other = [w.tobytes() for w in history]
    known = 300 - 100  # of the bars from its first call, on bar 101
    assert len(whole) == len(other) == 300 and whole[:known] == other[:known] and len(set(whole)) > 250
    assert whole[known:] != other[known:]
    history.clear()
    play(rows[:250])
    assert [w.tobytes() for w in history] == whole[:150]


def test_the_same_in_any_pieces(play):
    rows = market(3, 400, 3)
    instruments = [(k, 500, 10) for k in range(3)]
    tapes = [play(rows, instruments, batch, enter=0.5, leave=0.49) for batch in (4096, 64)]
    assert tape_digest(tapes[0]) == tape_digest(tapes[1]) and len(of(tapes[0], Kind.ORDER_FILLED)) > 10
