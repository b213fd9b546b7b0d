"""What goes wrong while a strategy runs: it stops, the others go on, and what is said names the line."""

import pytest

from adapters.strategies import again
from adapters.strategies.fault import explain_faults
from kernel.codes import Kind, Reason
from kernel.jit import COMPILED
from tests.adapters.strategies.writing import hook, played
from tests.kernel.play import flat, of, run_bars, words

FAULTS = {  # what happens: body of the hook
    "index out of range": "k = int(bar.close)\nreturn buy((1, 2, 3)[k])",
    "window out of range": "return buy(self.mean.window[int(bar.close)])",
    "division by zero": "return buy(1 // (self.n - 2) + 5)",
    "float division by zero": "return buy(1.0 / (self.n - 2.0) + 5.0)",
    "NaN as a whole number": "self.n = int(self.x / (self.n - 3.0) * 1e308 * 1e308 * 0.0)",
    "a negative power": "return buy(2 ** (1 - self.n))",
    "a negative shift": "return buy(1 << (1 - self.n))",
    "beyond 64 bits": "self.n = self.n * 2 ** 62",
    "out of domain": "return buy(math.sqrt(1.5 - self.n))",
    "raised": "if self.n == 2:\n    raise ValueError('enough')\nreturn buy(1)",
    "asserted": "assert self.n < 2\nreturn buy(1)",
}


def branches(bodies: dict[str, str]) -> str:
    """One hook for all cases, chosen by the parameter `which`: compiled once."""
    text = "self.n += 1\nself.x = 1.0\n"
    for k, body in enumerate(bodies.values()):
        text += f"if self.which == {k}:\n" + "".join(f"    {line}\n" for line in body.splitlines())
    return hook(text + "return HOLD", before="import math\n", declared="    which = Param(0)\n")


@pytest.fixture(scope="module")
def failing(load, tmp_path_factory):
    path = tmp_path_factory.mktemp("faults") / "mine.py"
    path.write_text("from onetape import *\n" + branches(FAULTS))
    return load(str(path))


def as_case(one, which: int):
    return type(one)(one.spec, one.origin, one.code_hash, {**one.params, "which": which}, one.program)


@pytest.mark.parametrize("name", FAULTS)
def test_an_exception_stops_its_strategy_only(load, scripted, failing, name):
    bad, good = as_case(failing, list(FAULTS).index(name)), load("buy_and_hold")
    engine, tape = played(bad, good, stream=[flat(t, 10 * t) for t in (1, 2, 3)])
    (fault,) = of(tape, Kind.STRATEGY_FAULT)
    at = 1 if "range" in name or "NaN" in name else 2
    assert (fault["strategy"], fault["reason"], fault["ts_event"] // (60 * 10**9)) == (1, Reason.EXCEPTION, at)
    assert fault["instrument"] == 0
    assert tape[fault["cause"] - 1]["kind"] == Kind.BAR
    assert set(of(tape, Kind.SIGNAL)[of(tape, Kind.SIGNAL)["seq"] > fault["seq"]]["strategy"]) <= {2}
    assert (engine.state.positions["qty"].reshape(3, 1)[2] == 100).all(), "the other goes on"
    assert engine.account.faults == 1
    resumed = run_bars(engine, [flat(4, 40)])
    assert Kind.STRATEGY_FAULT not in resumed["kind"].tolist()


LINES = {  # what happens: the exception, on the last line of the hook's branch
    "index out of range": "IndexError: ",
    "out of domain": "ValueError: math domain error",
    "raised": "ValueError: enough",
    "asserted": "AssertionError: ",
}


def line_of(one, said: str) -> str:
    """The source line that a text names by file and line."""
    line = int(said.partition("mine.py:")[2].partition(":")[0])
    return one.definition.file.read_text().splitlines()[line - 1].strip()


@pytest.mark.parametrize("name", LINES)
def test_the_line_is_named(failing, name):
    """Although the hook had changed its memory by then: it is as the call found it."""
    one = as_case(failing, list(FAULTS).index(name))
    engine, _ = played(one, stream=[flat(t, 10 * t) for t in (1, 2, 3)])
    (said,) = explain_faults(engine, [one])
    wanted = FAULTS[name].splitlines()[-1]
    wanted = "raise ValueError('enough')" if name == "raised" else wanted
    wanted = "assert self.n < 2" if name == "asserted" else wanted
    assert LINES[name] in said or f"{LINES[name].strip(': ')}: {wanted!r}" in said, said
    assert repr(wanted) in said and line_of(one, said) == wanted


def test_a_failed_call_leaves_memory_as_it_found_it(failing):
    engine, _ = played(as_case(failing, list(FAULTS).index("asserted")), stream=[flat(t, 10 * t) for t in (1, 2, 3)])
    assert int(engine.memory_of(1)[0]["n"]) == 1  # the second call had counted, and failed


@pytest.mark.sim
def test_names_and_local_time_are_the_runs(failing):
    one = as_case(failing, 0)
    engine, _ = played(one, stream=[flat(1, 10)])
    config = {"timezone": "Asia/Kolkata", "instruments": [{"number": 0, "symbol": "ACC"}]}
    (said,) = explain_faults(engine, [one], config)
    assert said.startswith("mine stopped at 1970-01-01 05:31:00 IST, ACC: ")
    (said,) = explain_faults(engine, [one])
    assert said.startswith("mine stopped at 1970-01-01 00:01:00 UTC, instrument 0: ")


def test_a_file_that_was_changed_meanwhile(load, strategy_file):
    """A line of another text is not named."""
    path = strategy_file(branches({"raised": "assert self.n < 1"}), name="changing.py")
    one = load(str(path))
    engine, _ = played(one, stream=[flat(1, 10)])
    path.write_text(path.read_text().replace("self.n < 1", "self.n < 9"))
    (said,) = explain_faults(engine, [one])
    assert ("the file was changed meanwhile" in said) == COMPILED  # interpreted, the function is still at hand


def test_a_call_that_takes_too_long_again(failing, monkeypatch):
    monkeypatch.setattr(again, "PATIENCE_SECONDS", 0.0)
    one = as_case(failing, 0)
    engine, _ = played(one, stream=[flat(1, 10)])
    (said,) = explain_faults(engine, [one])
    assert ("its line was not found within 30 s: run the same with ONETAPE_JIT=0" in said) == COMPILED


CASES = {
    "signals before the exception": "place(ctx, buy(1))\nassert bar.close < 0",
    "16 signals": "for k in range(16):\n    place(ctx, buy(1))",
    "17 signals": "for k in range(17):\n    place(ctx, buy(1))",
    "40 signals": "for k in range(40):\n    place(ctx, buy(1))",
    "17 cancels": "for k in range(17):\n    cancel(ctx)",
}


@pytest.fixture(scope="module")
def counting(load, tmp_path_factory):
    path = tmp_path_factory.mktemp("counts") / "mine.py"
    path.write_text("from onetape import *\n" + branches(CASES))
    return load(str(path))


@pytest.mark.parametrize("name", CASES)
def test_signals_of_one_call(counting, name):
    """Those before an exception are dropped; 16 are the most, cancels included."""
    engine, tape = played(as_case(counting, list(CASES).index(name)), stream=[flat(1, 10)])
    if name == "16 signals":
        assert len(of(tape, Kind.ORDER_SUBMITTED)) == 16
        return
    assert words(tape) == ["BAR", "STRATEGY_FAULT"]
    assert tape[1]["reason"] == (Reason.EXCEPTION if "exception" in name else Reason.TOO_MANY_SIGNALS)
    assert engine.account.open_orders == 0


@pytest.mark.parametrize("name", [name for name in CASES if name != "16 signals"])
def test_the_line_after_signals_is_named(counting, name):
    """Onetape's functions, called again in Python: compiled ones would take this process down."""
    one = as_case(counting, list(CASES).index(name))
    engine, _ = played(one, stream=[flat(1, 10)])
    (said,) = explain_faults(engine, [one])
    assert ("AssertionError" if "exception" in name else "TOO_MANY_SIGNALS: more than 16 signals in one call") in said
    assert line_of(one, said) == CASES[name].splitlines()[-1].strip()


ON_FILL = """
@strategy
class Mine:
    def on_bar(self, bar, ctx):
        return buy(1)

    def on_fill(self, fill, ctx):
        assert fill.side < 0
        return HOLD
"""


def test_an_exception_in_on_fill(load, strategy_file):
    one = load(str(strategy_file(ON_FILL)))
    engine, tape = played(one, stream=[flat(1, 10), flat(2, 11)])
    (fault,) = of(tape, Kind.STRATEGY_FAULT)
    assert fault["code"] == 1
    assert explain_faults(engine, [one])[0].endswith("AssertionError: 'assert fill.side < 0'")
    assert tape[fault["cause"] - 1]["kind"] == Kind.ORDER_FILLED
