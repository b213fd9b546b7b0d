"""A strategy in plain Python lives, is killed, goes on and replays as a compiled one does."""

import pytest

from api.request import Request
from tests.api.running import account_of, live, stored

OWN = '''from onetape import HOLD, Ema, PythonStrategy, target


class Own(PythonStrategy):
    """Keeps a list of closes, which no snapshot has."""

    mean = Ema(4)

    def start(self):
        self.closes = {}

    def on_bar(self, bar, ctx):
        seen = self.closes.setdefault(ctx.instrument, [])
        seen.append(bar.close)
        return target(ctx, 5 if sum(seen[-9:]) / len(seen[-9:]) > self.mean.value else 0)
'''


@pytest.mark.parametrize("stops", [[], [40], [25, 300]])
def test_live_is_the_backtest_and_replays(home, good, strategy_file, stops):
    spec = f"{strategy_file(OWN, 'own.py')}:Own"
    run = good(home, "backtest", "--strategy", spec)
    assert run["fills"] > 20 and run["faults"] == 0
    assert good(home, "replay", run["run_id"])["identical"]
    request = Request([spec])
    for stop in stops:
        assert live(home, stop, request)["stopped"]
    found = live(home, None, request)
    assert found["decision_digest"] == run["decision_digest"]
    assert len(stored(account_of(home))[0]) > 100
    assert good(home, "replay", "main-paper")["identical"] and good(home, "verify")["damaged"] == []


def test_a_fault_says_where(home, call, strategy_file):
    path = strategy_file(OWN.replace("seen.append(bar.close)", "seen.append(bar.close / 0)"), "own.py")
    said = call(home, "backtest", "--strategy", f"{path}:Own", "--json")
    assert said.code == 1 and f"{path}:15: ZeroDivisionError" in said.err and "Traceback" not in said.err
