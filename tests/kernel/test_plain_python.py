"""What a hook in plain Python may raise beside exceptions."""

import pytest

from kernel.codes import Kind
from tests.kernel.play import TICK, make_engine, market, of, run_bars

RAISES = """class Raises(PythonStrategy):
    def on_bar(self, bar, ctx):
        raise {what}
"""


@pytest.fixture
def raising(load, strategy_file):
    def engine(what):
        one = load(f"{strategy_file(RAISES.format(what=what), f'{what}.py')}:Raises")
        return make_engine([(one.program, one.params)], instruments=((0, TICK, 1),))

    return engine


def test_an_exit_is_a_fault(raising):
    engine = raising("SystemExit")
    tape = run_bars(engine, market(3, 10, 1))
    assert len(of(tape, Kind.STRATEGY_FAULT)) == 1
    assert "SystemExit" in engine.models[0].fault


def test_an_interrupt_is_not_swallowed(raising):
    with pytest.raises(KeyboardInterrupt):
        run_bars(raising("KeyboardInterrupt"), market(3, 10, 1))
