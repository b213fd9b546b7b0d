"""A replay is identical, or it names the first event and field that is not, and why."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adapters.market.tape import tapes_folder
from kernel.codes import Kind
from kernel.schema import events, join_rows
from tests.api.conftest import DAYS, write_mornings
from tests.api.running import DIGESTS, FILLED, MINE, SIGNAL, SUBMITTED, TWO, first_of, rewrite, stored

REPLAY_KEYS = {
    "identical",
    "events",
    "tape_digest",
    "decision_digest",
    "state_digest",
    "code_changed",
    "first_divergence",
}
ENDED = int(Kind.RUN_ENDED)


@pytest.fixture
def run(home, good):
    return good(home, "backtest", *TWO, "--symbols", "ACC,TCS,ZEEL")


@pytest.fixture
def account(home, good):
    """A paper account tape of the same bars."""
    return good(home, "live", *TWO, "--symbols", "ACC,TCS,ZEEL", "--feed", "replay:nse@max", "--account", "mine")


def diverges(said) -> dict:
    assert said.code == 1, said.err
    assert said.json["identical"] is False
    found = said.json["first_divergence"]
    assert found.keys() == {"seq", "kind", "field", "recorded", "recomputed"}
    return found


def test_identical(home, run, good, call):
    found = good(home, "replay", run["run_id"])
    assert found.keys() >= REPLAY_KEYS
    assert found["identical"] is True and found["first_divergence"] is None and found["code_changed"] == []
    assert [found[name] for name in DIGESTS] == [run[name] for name in DIGESTS]
    assert good(home, "replay", "latest") == good(home, "replay", run["run_id"][:-2]) == found
    said = call(home, "replay", home / "runs" / run["run_id"])
    assert said.code == 0
    assert said.out == (
        f"identical: {run['events']:,} events, tape {run['tape_digest']}, state {run['state_digest']}\n"
    )


def test_a_day_is_replayed_by_its_date(home, account, good, call):
    whole = good(home, "replay", "mine-paper")
    assert [whole[name] for name in DIGESTS] == [account[name] for name in DIGESTS]
    assert whole["events"] == account["events"] == account["stored_events"]
    one, two = (good(home, "replay", day) for day in DAYS)
    assert two == whole
    assert one["identical"] and 0 < one["events"] < two["events"]
    said = call(home, "replay", DAYS[1])
    assert said.code == 0 and said.out.startswith(f"identical: {account['events']:,} events, tape ")
    good(home, "live", *TWO[:2], "--symbols", "ACC", "--feed", "replay:nse@max", "--account", "other")
    assert [found["tape"] for found in good(home, "replay", DAYS[0])] == ["mine-paper", "other-paper"]


# Code that changed -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("live", [False, True])
def test_one_edited_constant_is_named(home, good, call, strategy_file, live):
    path = strategy_file(MINE)
    common = ("--strategy", f"{path}:Mine", "--symbols", "ACC,TCS")
    if live:
        good(home, "live", *common, "--feed", "replay:nse@max")
        folder = home / "tapes" / "accounts" / "main-paper"
    else:
        folder = home / "runs" / good(home, "backtest", *common)["run_id"]
    rows, _ = stored(folder)
    assert good(home, "replay", folder.name)["code_changed"] == []

    strategy_file(MINE.replace("return HOLD", "return HOLD  # nothing to do"))
    found = good(home, "replay", folder.name)
    assert (
        found["identical"]
        and len(found["code_changed"]) == 1
        and "strategy mine changed" in found["code_changed"][0].lower()
    )

    strategy_file(MINE.replace("buy(10)", "buy(11)"))
    seq = int(rows["seq"][first_of(rows, SIGNAL)])
    if live:
        said = call(home, "replay", folder.name)
        assert said.code == 2 and "diverged" not in said.err + said.out
        assert "code changed since it was recorded: strategy mine changed " in said.err
        assert f"first differs at seq {seq:,} (SIGNAL qty was 10, now 11)" in said.err
    else:
        said = call(home, "replay", folder.name, "--json")
        found = diverges(said)
        assert found == {"seq": seq, "kind": "SIGNAL", "field": "qty", "recorded": 10, "recomputed": 11}
        assert len(said.json["code_changed"]) == 1 and said.json["events"] == first_of(rows, SIGNAL)
        plain = call(home, "replay", folder.name)
        assert plain.code == 1 and "code changed since: strategy" in plain.out
        assert f"diverged at seq {seq:,}: SIGNAL qty was 10, now 11" in plain.out

    path.unlink()
    gone = call(home, "replay", folder.name)
    assert gone.code == 2 and "the code of strategy" in gone.err and "is gone" in gone.err


def test_a_day_of_other_code_did_not_diverge(home, good, call, strategy_file):
    """The day before an edit says that the code changed, the day after is compared; other accounts are still said."""
    path = strategy_file(MINE)
    asked = ("live", "--strategy", f"{path}:Mine", "--symbols", "ACC,TCS", "--feed", "replay:nse@max")
    first = good(home, *asked, "--to", DAYS[0])
    strategy_file(MINE.replace("buy(10)", "buy(11)"))
    good(home, *asked)
    good(home, *asked, "--account", "other")
    said = call(home, "replay", DAYS[0])
    assert said.code == 2 and said.out == "" and "diverged" not in said.err
    assert "other-paper: identical; main-paper: code changed since it was recorded: strategy mine changed " in said.err
    assert f"Its {first['events']:,} events fold to {first['orders']} orders and cash {first['cash']}" in said.err
    assert "SIGNAL qty was 10, now 11" in said.err and "the code of then" in said.err
    one, other = good(home, "replay", DAYS[1])
    assert one["identical"] and other["identical"] and one["folded"] == first["events"] and other["folded"] == 0


@pytest.mark.e2e
def test_an_edited_helper_file_is_named(home, good, call, strategy_file):
    """Not the strategy's own file but one it imports; the compiler's cache knows nothing of it."""
    helper = strategy_file("@helper\ndef size():\n    return 10\n", name="onesize.py")
    path = strategy_file(
        MINE.replace("buy(10)", "buy(size())"), head="from onetape import *\nfrom onesize import size\n"
    )
    run = good(home, "backtest", "--strategy", f"{path}:Mine", "--symbols", "ACC")
    assert good(home, "replay", "latest")["identical"]
    helper.write_text(helper.read_text().replace("10", "12"))  # same size, same second: no .pyc may answer
    said = call(home, "replay", run["run_id"], "--json")
    assert diverges(said)["recomputed"] == 12 and len(said.json["code_changed"]) == 1


# Tapes that were changed with everything around them valid -----------------------------------------------------------


def change_field(kind: int, field: str, by: int, nth: int = 2):
    def change(rows: np.ndarray) -> np.ndarray:
        rows[field][first_of(rows, kind, nth)] += by
        return rows

    return change


FORGERIES = [
    (FILLED, "px", 500),
    (FILLED, "fee", 1),
    (FILLED, "qty", 1),
    (SUBMITTED, "instrument", 1),
    (SUBMITTED, "ts_event", -1),
    (FILLED, "ts_init", -1),
    (FILLED, "cause", 1),
    (SUBMITTED, "strategy", 1),
    (SIGNAL, "side", 1),
    (int(Kind.EQUITY), "equity", 1),
]


@pytest.mark.parametrize("sealed", [True, False])
def test_a_forged_field_is_named(home, run, account, call, tmp_path, sealed):
    folder = home / "runs" / run["run_id"] if sealed else home / "tapes" / "accounts" / "mine-paper"
    rows, _ = stored(folder)
    original = shutil.copytree(folder, tmp_path / "original")
    for kind, field, by in FORGERIES:
        rewrite(folder, change_field(kind, field, by))
        assert call(home, "verify", folder.name).code == 0, "the forgery is valid as storage"
        at = first_of(rows, kind, 2)
        value = int(rows[field][at])
        assert diverges(call(home, "replay", folder.name, "--json")) == {
            "seq": int(rows["seq"][at]), "kind": Kind(kind).name, "field": field, "recorded": value + by, "recomputed": value,
        }  # fmt: skip
        shutil.rmtree(folder)
        shutil.copytree(original, folder)
    assert call(home, "replay", folder.name).code == 0


@pytest.mark.parametrize("sealed", [True, False])
def test_missing_and_extra_events_are_named(home, run, account, call, tmp_path, sealed):
    folder = home / "runs" / run["run_id"] if sealed else home / "tapes" / "accounts" / "mine-paper"
    rows, _ = stored(folder)
    original = shutil.copytree(folder, tmp_path / "original")
    at = first_of(rows, FILLED, 3)
    extra = events(1)
    extra["seq"], extra["kind"], extra["origin"], extra["ts_init"] = (
        int(rows["seq"][-1]) + 1,
        SIGNAL,
        1,
        rows["ts_init"][-1],
    )

    def outcome(change) -> dict:
        shutil.rmtree(folder)
        shutil.copytree(original, folder)
        rewrite(folder, change)
        return diverges(call(home, "replay", folder.name, "--json"))

    seq = int(rows["seq"][at])
    found = outcome(lambda r: join_rows([r[:at], r[at + 1 :]]))  # a fill is gone
    assert (found["seq"], found["kind"], found["field"], found["recomputed"]) == (seq, "ORDER_FILLED", "seq", seq)
    found = outcome(lambda r: r[:-1])  # the last event is gone
    assert found["seq"] == int(rows["seq"][-1]) and found["field"] in ("missing", "seq")
    found = outcome(lambda r: join_rows([r, extra]))  # an event that never was
    assert (found["seq"], found["kind"], found["field"]) == (int(extra["seq"][0]), "SIGNAL", "missing")


def test_a_forged_configuration_is_named(home, run, call):
    """The note of RUN_STARTED says another opening cash: the events that follow do not come from it."""
    folder = home / "runs" / run["run_id"]

    def richer(notes: dict[int, str]) -> dict[int, str]:
        config = json.loads(notes[1])
        config["cash"] += 10_000
        return {**notes, 1: json.dumps(config, sort_keys=True, separators=(",", ":"))}

    rewrite(folder, lambda rows: rows, richer)
    assert diverges(call(home, "replay", folder.name, "--json"))["kind"] in ("EQUITY", "RUN_STARTED")


def test_a_forged_digest_is_named(home, run, call):
    from adapters.tape.reader import read_manifest
    from adapters.tape.sealed import _manifest_bytes

    folder = home / "runs" / run["run_id"]
    manifest = read_manifest(folder)
    manifest["state_digest"] = "0" * 64
    (folder / "manifest.json").write_bytes(_manifest_bytes(manifest))
    found = diverges(call(home, "replay", folder.name, "--json"))
    assert (found["field"], found["recorded"], found["recomputed"]) == ("state_digest", "0" * 64, run["state_digest"])


# Inputs that changed --------------------------------------------------------------------------------------------------


def test_a_market_tape_that_is_gone(home, run, call):
    shutil.rmtree(tapes_folder(home) / "nse")
    said = call(home, "replay", run["run_id"], "--json")
    assert said.code == 2 and said.out == ""
    assert "input retired: market tape nse is gone" in said.err and said.err.count("\n") == 1


def test_a_market_tape_imported_differently(home, run, call):
    shutil.rmtree(tapes_folder(home) / "nse")
    write_mornings(home, 12)
    said = call(home, "replay", run["run_id"])
    assert said.code == 2 and "market tape nse is not the one the run used" in said.err


def test_a_market_tape_that_rotted(home, run, call):
    """Its manifest is whole, its bars are not: the disk is named, not the code."""
    path = tapes_folder(home) / "nse" / "bars.parquet"
    table = pq.read_table(path)
    close = table.column("close").to_numpy().copy()
    close[np.flatnonzero(table.column("instrument").to_numpy() == 0)[100]] += 500
    high = np.maximum(table.column("high").to_numpy(), close)
    for name, values in (("close", close), ("high", high)):
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(place), pa.array(values))
    pq.write_table(table, path)
    for command in ("replay", "verify"):
        said = call(home, command, run["run_id"])
        assert said.code == 65 and "bars.parquet" in said.err
    path.write_bytes(path.read_bytes()[:1_000])
    assert call(home, "replay", run["run_id"]).code == 65


# Names ----------------------------------------------------------------------------------------------------------------


def test_names_of_runs(home, run, call, good):
    second = good(home, "backtest", *TWO[:2], "--symbols", "ACC")
    assert good(home, "replay", "latest")["tape"] == second["run_id"]
    said = call(home, "replay", "2026")
    assert said.code == 2 and ("could be" in said.err or "no run" in said.err)
    (home / "runs" / "99999999T000000000-killed-0000").mkdir()  # a backtest that was killed
    assert good(home, "replay", "latest")["tape"] == second["run_id"]
    said = call(home, "replay", "99999999")
    assert said.code in (2, 65) and "onetape" in said.err and "Traceback" not in said.err
    said = call(home, "replay", tapes_folder(home) / "nse")
    assert said.code == 2 and "no run" in said.err
