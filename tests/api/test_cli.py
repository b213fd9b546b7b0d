"""The command line: what it prints for people and machines, and one clear sentence with the right code otherwise."""

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from api import cli
from api.cli import make_parser
from tests.api.conftest import DAYS, SYMBOLS
from tests.api.running import MINE, ROOT, TWO, start_cli

COMMANDS = ["init", "config", "import", "strategies", "new", "scan", "backtest", "check", "replay", "live", "verify", "runs", "report", "sql", "serve", "token",
            "demo", "tape", "doctor", "backup", "restore", "prune", "migrate", "publish", "sessions", "instruments", "universe", "charges", "kill", "drill"]  # fmt: skip
ROWS = "datetime,open,high,low,close,volume\n2024-01-01 09:15:00,100,101,99,100.5,10\n2024-01-01 09:16:00,100.5,102,100,101,20\n"


def refused(said, code: int, *words: str) -> None:
    """One sentence on standard error, nothing on standard output, this code."""
    assert said.code == code, said
    assert said.out == ""
    assert said.err.startswith("onetape: ") and said.err.count("\n") == 1, said.err
    assert "Traceback" not in said.err
    for word in words:
        assert word in said.err, said.err


def test_help_of_every_command(call):
    said = call(None, "--help")
    assert said.code == 0 and "exit codes:" in said.out
    for name in COMMANDS:
        assert f"\n    {name} " in said.out
        help_of = call(None, name, "--help")
        assert help_of.code == 0 and help_of.out.startswith(f"usage: onetape {name}")
    [choices] = [a.choices for a in make_parser()._actions if a.dest == "COMMAND" or hasattr(a, "add_parser")]
    assert sorted(choices) == sorted(COMMANDS)


def test_no_command_and_version(call):
    assert call(None).code == 0 and "usage:" in call(None).out
    assert call(None, "--version").out.startswith("onetape 0.")
    assert call(None, "backtests").code == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--strategy", "ema_cros"], ["no strategy 'ema_cros'", "ema_cross"]),
        (["--strategy", "ema_cross,fats=3"], ["fats"]),
        (["--strategy", "ema_cross,fast=x"], ["fast=x"]),
        (["--strategy", "ema_cross,fast=1"], ["fast"]),
        (["--strategy", "nowhere.py:Mine"], ["no such strategy file"]),
        ([], ["--strategy"]),
        ([*TWO, "--symbols", "ACD"], ["no instrument 'ACD'", "did you mean ACC?"]),
        ([*TWO, "--tapes", "nsf"], ["nsf"]),
        ([*TWO, "--from", "01-02-2024"], ["is not a date", "YYYY-MM-DD"]),
        ([*TWO, "--to", "2024-02-30"], ["is not a date"]),
        ([*TWO, "--from", DAYS[1], "--to", DAYS[0]], ["is after --to"]),
        ([*TWO, "--from", "2030-01-01"], ["no bars in that range"]),
        ([*TWO, "--cash", "lots"], ["--cash lots"]),
        ([*TWO, "--cash", "-5"], ["--cash -5"]),
        ([*TWO, "--fees", "percent:3"], ["--fees percent:3"]),
        ([*TWO, "--fees", "bps:x"], ["--fees bps:x"]),
    ],
)
def test_backtests_that_cannot_be(home, call, arguments, words):
    refused(call(home, "backtest", *arguments), 2, *words)
    refused(call(home, "backtest", *arguments, "--json"), 2, *words)
    assert not list((home / "runs").glob("*")) or not list((home / "runs").iterdir())


def test_no_data(tmp_path, call, load):
    refused(call(tmp_path / "new", "backtest", *TWO), 2, "no market data", "onetape import")
    refused(call(tmp_path / "new", "live", *TWO, "--feed", "replay:all@max"), 2, "no market data")
    refused(call(tmp_path / "new", "replay", "latest"), 2, "no run 'latest'")
    refused(call(tmp_path / "new", "replay", "2024-01-01"), 2, "nothing was recorded", "no live or paper day")
    refused(call(tmp_path / "new", "report"), 2, "no run")
    assert call(tmp_path / "new", "runs").out.startswith("nothing in")
    assert call(tmp_path / "new", "runs", "--json").json == []


def test_runs_and_dates_that_are_not_there(home, call, good):
    good(home, "live", *TWO[:2], "--symbols", "ACC", "--feed", "replay:nse@max")
    refused(call(home, "replay", "nothing"), 2, "no run 'nothing'", "onetape runs")
    refused(
        call(home, "replay", "2024-03-05"),
        2,
        "nothing was recorded on 2024-03-05",
        f"the nearest recorded day is {DAYS[1]}",
    )
    refused(call(home, "replay", "2024-13-05"), 2, "is not a date")
    refused(call(home, "verify", "nothing"), 2, "no run 'nothing'")
    refused(call(home, "report", "nothing"), 2, "no run 'nothing'")
    refused(call(home, "sql", "select 1", "--run", "nothing"), 2, "no run 'nothing'")


def test_feeds_and_modes_that_are_none(home, call, tmp_path):
    refused(call(home, "live", *TWO, "--feed", "nse"), 2, "'nse' is no feed", "replay:TAPE@max")
    refused(call(home, "live", *TWO, "--feed", "replay:nsf@max"), 2, "nsf")
    refused(call(home, "live", *TWO), 2, "no feed")
    assert call(home, "live", *TWO, "--mode", "live", "--feed", "replay:nse@max").code == 2
    file = tmp_path / "a file"
    file.write_text("")
    refused(call(file, "backtest", *TWO), 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("class Mine:\n    pass\n", ["no class with @strategy"]),
        (MINE.replace("return HOLD", "return HOLD +"), ["mine.py:15"]),
        (MINE.replace("buy(10)", "byu(10)"), ["mine.py:12", "byu is not defined", "did you mean buy?"]),
        (MINE.replace("ctx.position > 0", "ctx.positions > 0"), ["mine.py:13", "did you mean ctx.position?"]),
        (MINE.replace("return HOLD", "print(bar)"), ["mine.py:15", "print()"]),
        ("raise RuntimeError('at import')\n" + MINE, ["mine.py:2", "RuntimeError: at import"]),
    ],
)
def test_strategies_with_errors(home, call, strategy_file, text, words):
    refused(call(home, "backtest", "--strategy", f"{strategy_file(text)}:Mine"), 2, *words)


@pytest.mark.parametrize(
    ("code", "error", "line"),
    [
        ("buy(10 // (ctx.position * 0))", "ZeroDivisionError", 12),
        ("buy(squeeze(ctx.position))", "ValueError: too small", 5),
    ],
)
def test_a_strategy_that_raises(home, call, good, strategy_file, code, error, line):
    """Exit 1 with file and line; the run is whole, on its tape, and replays."""
    helper = "@helper\ndef squeeze(x):\n    if x < 1:\n        raise ValueError('too small')\n    return x\n\n\n"
    text = (helper if "squeeze" in code else "") + MINE.replace("buy(10)", code)
    path = strategy_file(text)
    said = call(home, "backtest", "--strategy", f"{path}:Mine", "--strategy", TWO[1], "--json")
    assert said.code == 1
    assert said.json["faults"] == 1 and said.json["fills"] > 5, "the other strategy went on"
    assert error in said.err and f"mine.py:{line}" in said.err and "Traceback" not in said.err
    assert said.json["faults_text"][0] in said.err
    assert good(home, "replay", "latest")["identical"]


@pytest.mark.sim
def test_a_copy_of_a_built_in_is_a_strategy_of_its_own(home, tmp_path):
    """Whichever was compiled first: machine code of the copy names a module that the built-in does not have."""
    copy = tmp_path / "ema_cross.py"
    shutil.copyfile(ROOT / "kernel" / "strategies" / "ema_cross.py", copy)
    found = []
    for spec in (
        f"{copy}:EmaCross",
        "ema_cross",
        f"{copy}:EmaCross",
    ):  # each in a process of its own, cache warm or not
        process = start_cli(home, "backtest", "--strategy", spec, "--symbols", "ACC", "--json")
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        found.append(json.loads(out)["decision_digest"])
    assert len(set(found)) == 1


def test_config_file(home, call, tmp_path, good):
    (tmp_path / "mine.toml").write_text("[account]\ncash = 5000\n")
    with_file = call(home, "--config", tmp_path / "mine.toml", "backtest", "--strategy", "buy_and_hold", "--json")
    assert with_file.code == 0 and with_file.json["final_equity"] < 50_000
    (tmp_path / "mine.toml").write_text("[account]\ncahs = 5000\n")
    refused(call(home, "--config", tmp_path / "mine.toml", "backtest", *TWO), 2, "cahs")
    refused(call(home, "--config", tmp_path / "none.toml", "backtest", *TWO), 2, "none.toml")


# Import, runs ---------------------------------------------------------------------------------------------------------


def test_import_twice_adds_nothing(tmp_path, call, good):
    home, file = tmp_path / "home", tmp_path / "ACME.csv"
    file.write_text(ROWS)
    first = good(home, "import", file)
    assert (first["new"], first["tapes"], first["files"][0]["rows"]) == (2, ["ACME"], 2)
    again = good(home, "import", file)
    assert (again["new"], again["tapes"], again["files"][0]["skipped"]) == (0, [], 2)
    assert "nothing new (2 bars are already here)" in call(home, "import", file).out
    assert len(list((home / "tapes" / "market").iterdir())) == 1
    file.write_text(ROWS.replace("100.5,10", "100.6,10"))
    said = call(home, "import", file)
    assert said.code == 2 and "2024-01-01" in said.err + said.out
    assert [tape["bars"] for tape in good(home, "runs", "--tapes")] == [2]


def test_import_of_bad_files(tmp_path, call):
    home, file = tmp_path / "home", tmp_path / "ACME.csv"
    refused(call(home, "import"), 2, "nothing to import")
    refused(call(home, "import", tmp_path / "none.csv"), 2, "none.csv")
    refused(call(home, "import", file.with_name("x"), "--map", "close"), 2, "FIELD=COLUMN")
    file.write_text(ROWS + "2024-01-01 09:17:00,100.5,90,100,101,20\n")
    said = call(home, "import", file)
    assert said.code == 2 and f"{file}" in said.out and ":4" in said.out
    assert call(home, "import", file, "--json").json["files"][0]["bad_rows"] == 1
    assert not list((home / "tapes" / "market").glob("[!.]*"))


def test_runs(home, call, good):
    assert good(home, "runs") == []
    made = [good(home, "backtest", *TWO[:2], "--symbols", s) for s in ("ACC", "TCS")]
    good(home, "live", *TWO[:2], "--symbols", "ACC", "--feed", "replay:nse@max")
    lines = good(home, "runs")
    assert [line["run_id"] for line in lines] == [made[0]["run_id"], made[1]["run_id"], "main-paper"]
    assert [line["mode"] for line in lines] == ["BACKTEST", "BACKTEST", "PAPER"]
    assert lines[0]["fills"] == made[0]["fills"]
    said = call(home, "runs")
    assert said.code == 0 and made[1]["run_id"][:15] in said.out
    [tape] = good(home, "runs", "--tapes")
    assert tape["tape"] == "nse" and sorted(tape["instruments"].split(",")) == sorted(SYMBOLS)


def test_homes(home, call, good, monkeypatch, tmp_path):
    """--home wins over ONETAPE_HOME, which wins over ./data."""
    run = good(home, "backtest", *TWO[:2])
    monkeypatch.setenv("ONETAPE_HOME", str(home))
    assert [line["run_id"] for line in good(None, "runs")] == [run["run_id"]]
    assert good(tmp_path / "other", "runs") == []
    monkeypatch.delenv("ONETAPE_HOME")
    assert good(None, "runs") == []
    (tmp_path / "data").symlink_to(home)
    assert [line["run_id"] for line in good(None, "runs")] == [run["run_id"]]
    monkeypatch.chdir(home.parent)
    assert good(home.name, "replay", "latest")["identical"], "a relative home"


@pytest.mark.sim
def test_report(home, call, good, tmp_path):
    run = good(home, "backtest", *TWO)
    said = call(home, "report")
    assert said.code == 0 and "page: " in said.out
    page = (home / "views" / "reports" / f"{run['run_id']}.html").read_text()
    assert page.startswith("<!") and run["tape_digest"] in page
    assert "http://" not in page.replace("http://www.w3.org", "") and "<script src" not in page
    assert call(home, "report", run["run_id"], "--output", tmp_path / "x" / "page.html").code == 0
    assert (tmp_path / "x" / "page.html").read_text() == page
    assert call(home, "verify").code == 0, "derived files are no part of a tape"
    said = call(home, "backtest", *TWO[:2])
    assert said.code == 0 and "ema" in said.out.lower()
    good(home, "live", *TWO[:2], "--symbols", "ACC", "--feed", "replay:nse@max")
    assert call(home, "report", "main-paper").code == 0


@pytest.mark.sim
def test_output_that_nobody_reads(home, good):
    """`onetape runs | head -c1`: no traceback."""
    good(home, "backtest", *TWO[:2], "--symbols", "ACC")
    asked = f"'{sys.executable}' -m api.cli --home '{home}' runs --json | head -c 1"
    done = subprocess.run(["sh", "-c", asked], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "[" and "Traceback" not in done.stderr


def test_text_and_json_agree(home, call, good):
    run = good(home, "backtest", *TWO[:2], "--symbols", "ACC")
    assert json.loads(json.dumps(run)) == run
    rows = list(csv.reader(io.StringIO(call(home, "sql", "select run_id, bars from runs", "--csv").out)))
    assert rows == [["run_id", "bars"], [run["run_id"], str(run["bars"])]]


def test_json_numbers_have_all_their_digits(capsys):
    """A float would round 1234567890123.4567; what is not a number is refused, not written as text."""
    from api.commands.common import numbers, print_json

    print_json(numbers({"cash": "1234567890123.4567", "loss": "-0.0001", "run_id": "20240101T1-x", "n": 3}))
    out = capsys.readouterr().out
    assert '"cash": 1234567890123.4567,' in out and '"loss": -0.0001,' in out
    assert json.loads(out, parse_float=str)["cash"] == "1234567890123.4567"
    with pytest.raises(TypeError, match="Path"):
        print_json({"x": ROOT})


def test_the_command_line_is_files_of_one_sitting():
    """Arguments are beside their kin in api/arguments_*.py, what a command does in api/commands/."""
    files = [Path(cli.__file__), *Path(cli.__file__).parent.glob("arguments*.py")]
    assert len(files) >= 4 and all(len(file.read_text().splitlines()) < 300 for file in files)
    for add in cli.ADDED:
        assert add.__name__.startswith("add_") and add.__module__.startswith("api.arguments_")
