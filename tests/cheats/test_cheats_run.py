"""Cheats that nothing in their source gives away: a run of `onetape check` does, and says which check saw what."""

import json
import re

import pytest

from kernel.jit import COMPILED
from tests.api.running import start_cli
from tests.cheats.cheating import FOLDER, SYMBOL, plant

CAUGHT = {  # file: checks that must fail, one that must warn; words of the first
    "closes_from_a_file": (("tables",), "outside", "CLOSES holds the close prices of ACC from 2024-01-01"),
    "moves_in_a_tuple": (("tables",), "outside", "KNOWN.moves holds the moves of the close of ACC"),
    "best_bars": (("foresight",), "outside", "% of them are the same on a market that goes the other way"),
    "moments": (("tables",), "outside", r"BUY_AT names \d+ moments of this tape, first 2024-01-01 09:"),
    "patched_kernel": (("outside", "prefixes", "other future"), "", "in the place of kernel.engine.Engine.run"),
    "reads_the_tape": (("outside",), "", "which is of this home: the tape itself"),
    "asks_outside": (("outside",), "", "connects to another machine"),
    "address": (("twice",), "", "EVERY is worked out when the file is read and differs|EVERY: another value"),
    "order_of_a_set": (("twice",), "", "decided differently|EVERY: another value"),
    "clock_of_a_record": (("twice",), "", "decided differently|EVERY: another value"),
    "remembers_in_a_tuple": (("modes",), "", "compiled: .*; interpreted: "),
    "counted_bars": ((), "start", ""),
}


def test_every_cheat_is_expected():
    files = {path.stem for path in FOLDER.glob("*.py")} - {"cheating", "conftest"}
    assert {name for name in files if not name.startswith("test_")} == set(CAUGHT)


@pytest.mark.sim
@pytest.mark.skipif(not COMPILED, reason="the command compares both modes by itself")
@pytest.mark.parametrize("name", CAUGHT)
def test_a_run_catches(home, tmp_path, name):
    fails, warns, said = CAUGHT[name]
    path = plant(name, home, tmp_path)
    process = start_cli(home, "check", str(path), "--symbols", SYMBOL, "--json")
    out, errors = process.communicate(timeout=120)
    assert process.returncode == (1 if fails else 0), errors
    report = json.loads(out)
    by_check = {finding["check"]: finding for finding in report["findings"]}
    assert report["honest"] == (not fails)
    for check in fails:
        assert by_check[check]["status"] == "failed", by_check[check]
    if warns:
        assert by_check[warns]["status"] == "warned", by_check[warns]
    if fails:
        first = by_check[fails[0]]
        assert re.search(said, f"{first['found']} {first.get('mend', '')}"), first
