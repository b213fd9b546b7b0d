"""docs/strategies.md from its first line to its last: its edits fit the generated files, its commands run as written."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from api.new_strategy import new_strategy
from tests.test_docs import ROOT, blocks

PAGE = ROOT / "docs" / "strategies.md"
STEP = re.compile(r"```(sh|diff)\n(.*?)```", re.S)
WANTED = ("init", "import", "strategies", "scan", "new", "backtest", "report", "check", "live", "replay")


def steps() -> list[tuple[str, str]]:
    """(sh or diff, text) in the order of the page, but for the first, which makes .venv."""
    first, *rest = STEP.findall(PAGE.read_text())
    assert first == ("sh", "./just\nsource .venv/bin/activate\n")
    return rest


def edit(folder: Path, text: str) -> None:
    """Make the change of a diff block: the lines it leaves or takes away are in the file once, as they stand."""
    head, *lines = text.splitlines()
    file = folder / head.removeprefix("--- ")
    before, after = ("".join(f"{line[1:]}\n" for line in lines if line[:1] in (" ", side)) for side in "-+")
    written = file.read_text()
    assert written.count(before) == 1, f"{file} is not what the page says:\n{before}"
    file.write_text(written.replace(before, after))


def test_it_names_each_step_in_order():
    commands = re.findall(r"^onetape (\w+)", "\n".join(blocks(PAGE, "sh")), re.M)
    places = [commands.index(name) for name in WANTED if name != "scan"]
    assert places == sorted(places) and "scan" in commands


def test_its_edits_fit_what_is_generated(tmp_path):
    new_strategy("my_first", tmp_path, tmp_path / "data")
    edits = [text for kind, text in steps() if kind == "diff"]
    for text in edits:
        edit(tmp_path, text)
    assert len(edits) == 3
    for path in ("strategies/my_first.py", "tests/test_my_first.py"):
        compile((tmp_path / path).read_text(), path, "exec")


@pytest.mark.e2e
def test_its_commands_run_as_written(tmp_path, load):
    folder, said = tmp_path, []
    paths = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": paths, "PYTHONPATH": str(ROOT)}
    environment.pop("ONETAPE_HOME", None)
    for kind, text in steps():
        if kind == "diff":
            edit(folder, text)
            continue
        script = f"{text}\npwd > {tmp_path}/pwd\n"
        done = subprocess.run(
            ["sh", "-ec", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        folder = Path((tmp_path / "pwd").read_text().strip())
        said.append(done.stdout)
    whole = "\n".join(said)
    assert "4 passed" in whole and "5 passed" in whole
    assert "12,154 new bars" in whole and "Regimes: trend" in whole and "Honest" in whole
    assert "feed ended" in whole and said[-1].splitlines()[-1].startswith("identical: ")
    assert len(list(folder.glob("data/views/reports/*.html"))) == 2
