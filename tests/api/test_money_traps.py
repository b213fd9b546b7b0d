"""What would have cost a user money without a word: data that comes late or twice, code that changed out of sight."""

import pytest

HEAD = "symbol,date,open,high,low,close,volume\n"
DAYS = ("2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05", "2024-01-08")
SPLIT = "symbol,date,kind,value\nAAA,2024-01-04,split,2:1\n"


def bars(days=DAYS, symbol="AAA") -> str:
    rows = [
        f"{symbol},{day},{p},{p + 1},{p - 1},{p},100\n" for day in days for p in [100 if day < "2024-01-04" else 50]
    ]
    return HEAD + "".join(rows)


@pytest.fixture
def files(tmp_path, load):
    """`files(name, text)` writes a file and returns its path."""

    def write(name: str, text: str):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


HOLD_ON = ("--strategy", "buy_and_hold")


def test_a_split_that_is_imported_later_counts(tmp_path, good, files):
    data, actions = files("d.csv", bars()), files("a.csv", SPLIT)
    good(tmp_path / "once", "import", data, "--actions", actions)
    good(tmp_path / "later", "import", data)
    good(tmp_path / "later", "import", data, "--actions", actions)
    good(tmp_path / "other", "import", data)
    good(tmp_path / "other", "import", files("b.csv", bars(symbol="BBB")), "--actions", actions)
    runs = [good(tmp_path / home, "backtest", *HOLD_ON, "--symbols", "AAA") for home in ("once", "later", "other")]
    assert len({run["final_equity"] for run in runs}) == len({run["decision_digest"] for run in runs}) == 1
    assert runs[0]["final_equity"] == pytest.approx(1_000_000 - 3.0, abs=0.01)  # 100 bought at 100, 200 held at 50


def test_live_refuses_bars_that_came_late(tmp_path, call, good, files):
    home = tmp_path / "home"
    good(home, "import", files("d.csv", bars(DAYS[:3])))
    live = ("live", *HOLD_ON, "--feed", "replay:all@max")
    good(home, *live)
    good(home, "import", files("e.csv", bars(("2023-12-29", *DAYS[3:]))))
    said = call(home, *live)
    assert said.code == 2
    assert "late data cannot be put into a day that was traded" in said.err
    assert good(home, *live, "--account", "fresh")["bars"] == 7


def test_one_file_twice_with_another_close_is_no_feed(tmp_path, call, good, files):
    home, data = tmp_path / "home", files("d.csv", bars())
    good(home, "import", data, "--name", "one")
    good(home, "import", data, "--name", "two", "--session-close", "16:00")
    said = call(home, "backtest", *HOLD_ON)
    assert said.code == 2
    assert "overlap" in said.err
    assert "--tapes" in said.err
    assert good(home, "backtest", *HOLD_ON, "--tapes", "one")["bars"] == 6


MINE = """
import sys
from pathlib import Path
{more}
from onetape import HOLD, buy, helper, strategy
sys.path.insert(0, str(Path(__file__).parent.parent / "lib"))
import faraway
QTY = int((Path(__file__).parent / "qty.txt").read_text())

@helper
def size(n):
    return {size}

@strategy
class Mine:
    def on_bar(self, bar, ctx):
        if ctx.position == 0 and ctx.working == 0:
            return buy(size(QTY) + faraway.N)
        return HOLD
"""


@pytest.mark.e2e
def test_constants_from_elsewhere_are_code(tmp_path, call, good, files):
    """numba freezes them into the machine code it keeps: a changed one is another strategy."""
    home = tmp_path / "home"
    good(home, "import", files("d.csv", bars()))
    mine = files("s/mine.py", MINE.format(more="", size="n"))
    files("s/qty.txt", "10")
    files("lib/faraway.py", "N = 1\n")
    run = good(home, "backtest", "--strategy", mine)
    assert good(home, "replay", run["run_id"])["identical"]
    files("s/qty.txt", "500")
    said = call(home, "replay", run["run_id"], "--json")
    assert said.code == 1
    found = said.json["first_divergence"]
    assert (found["kind"], found["field"], found["recorded"], found["recomputed"]) == ("SIGNAL", "qty", 11, 501)
    assert said.json["code_changed"]


@pytest.mark.parametrize(
    ("more", "size"), [("import random", "random.randint(1, n)"), ("from random import randint", "randint(1, n)")]
)
def test_dice_are_refused_however_they_come(tmp_path, call, good, files, more, size):
    home = tmp_path / "home"
    good(home, "import", files("d.csv", bars()))
    files("s/qty.txt", "10")
    files("lib/faraway.py", "N = 1\n")
    said = call(home, "backtest", "--strategy", files("s/mine.py", MINE.format(more=more, size=size)))
    assert said.code == 2
    assert "draws no random numbers" in said.err


def test_an_account_is_a_name(tmp_path, call, good, files):
    home = tmp_path / "home"
    good(home, "import", files("d.csv", bars()))
    for name in ("../../evil", "a/b", ""):
        said = call(home, "live", *HOLD_ON, "--feed", "replay:all@max", "--account", name)
        assert said.code == (2 if name else 0)
    assert not (tmp_path / "evil-paper").exists()


def test_flags_out_of_range(tmp_path, call, good, files):
    home = tmp_path / "home"
    good(home, "import", files("d.csv", bars()))
    for flags in (["--seed", "99999999999999999999"], ["--to", "9999-12-31"], ["--warm-up-days", "-2", "--from", DAYS[2]],
                  ["--warm-up-days", "2"], ["--symbols", ","]):  # fmt: skip
        said = call(home, "backtest", *HOLD_ON, *flags)
        assert said.code == 2 and said.err.startswith("onetape: ") and "Traceback" not in said.err
