"""`onetape verify`: whatever was touched in a home is named, with exit code 65."""

import json
import shutil

import numpy as np
import pytest

from adapters.files import canonical_json
from adapters.tape.digest import TapeDigest
from adapters.tape.reader import read_manifest, read_refs
from adapters.tape.sealed import SealedWriter
from api.bootstrap import make_ref
from kernel.codes import Kind
from kernel.schema import join_rows
from tests.api.running import TWO, rewrite, stored


@pytest.fixture
def run(home, good):
    return good(home, "backtest", *TWO, "--symbols", "ACC,TCS")


@pytest.fixture
def account(home, good):
    return good(home, "live", *TWO[:2], "--symbols", "ACC", "--feed", "replay:nse@max")


def reforge(folder, ref_change=lambda ref: ref, rows_change=lambda rows: rows) -> None:
    """Write a sealed run again with another reference; every digest is made anew."""
    rows, notes = stored(folder)
    manifest, [ref] = read_manifest(folder), read_refs(folder)
    ref = {name: value for name, value in ref_change(json.loads(json.dumps(ref))).items() if name != "digest"}
    digest = TapeDigest()
    digest.add_ref(canonical_json(ref))
    shutil.rmtree(folder)
    with SealedWriter(folder) as writer:
        writer.add(rows_change(rows), notes)
        writer.add_ref(canonical_json({**ref, "digest": digest.hex()}))
        own = ("format", "rows", "last_seq", "refs", "tape_digest", "files", "decision_digest")
        writer.finish({name: value for name, value in manifest.items() if name not in own})


def test_whole(home, run, account, good, call):
    found = good(home, "verify", run["run_id"])
    assert found == {"name": run["run_id"], "events": run["events"], "tape_digest": run["tape_digest"],
                     "torn": 0, "retired": 0}  # fmt: skip
    assert good(home, "verify")["verified"] == 3
    said = call(home, "verify")
    assert said.code == 0 and said.out.count("ok  ") == 3
    assert (
        call(home, "verify", run["run_id"]).out
        == f"ok  {run['run_id']}: {run['events']:,} events, tape {run['tape_digest']}\n"
    )


def test_every_file_of_a_home_is_covered(home, run, account, call):
    """One flipped bit in any file under tapes/ and runs/, but for the lock and the torn last frame."""
    files = [p for p in sorted((home / "runs").rglob("*.*")) + sorted((home / "tapes").rglob("*.*")) if p.is_file()]
    assert {p.name for p in files} >= {
        "order.parquet",
        "notes.parquet",
        "manifest.json",
        "bars.parquet",
        "00000001.segment",
    }
    for path in files:
        if path.name in ("writer.lock", "sources.json"):
            continue
        content = path.read_bytes()
        for place in (len(content) // 3, 5):
            path.write_bytes(content[:place] + bytes([content[place] ^ 0x20]) + content[place + 1 :])
            said = call(home, "verify")
            assert said.code == 65 and said.err.startswith("onetape: ") and said.err.count("\n") == 1, path
            assert path.name in said.err, said.err
        path.write_bytes(content)
    assert call(home, "verify").code == 0


def test_stray_and_missing_files(home, run, account, call):
    for folder in (
        home / "runs" / run["run_id"],
        home / "tapes" / "accounts" / "main-paper",
        home / "tapes" / "market" / "nse",
    ):
        stray = folder / "mine.txt"
        stray.write_text("a note to myself")
        said = call(home, "verify")
        assert said.code == 65 and "mine.txt" in said.err
        stray.unlink()
    order = home / "runs" / run["run_id"] / "order.parquet"
    order.unlink()
    said = call(home, "verify", run["run_id"])
    assert said.code == 65 and f"{order} is missing" in said.err


def test_gaps_are_exactly_the_bars_referred_to(home, run, call):
    folder = home / "runs" / run["run_id"]
    rewrite(folder, lambda rows: join_rows([rows[:50], rows[51:]]))
    said = call(home, "verify", run["run_id"])
    assert said.code == 65
    assert f"{run['bars'] + 1:,} events are not stored, but its references cover {run['bars']:,}" in said.err


def test_a_reference_that_was_altered(home, run, call):
    folder = home / "runs" / run["run_id"]
    rows, notes = stored(folder)
    manifest, [ref] = read_manifest(folder), read_refs(folder)
    ref["selection"]["last_ts"] = 1  # its own digest stays as it was
    shutil.rmtree(folder)
    with SealedWriter(folder) as writer:
        writer.add(rows, notes)
        writer.add_ref(canonical_json(ref))
        own = ("format", "rows", "last_seq", "refs", "tape_digest", "files", "decision_digest")
        writer.finish({name: value for name, value in manifest.items() if name not in own})
    said = call(home, "verify", run["run_id"])
    assert said.code == 65 and "a reference to market data was altered" in said.err


def test_a_reference_with_a_wrong_count(home, run, call):
    folder = home / "runs" / run["run_id"]
    original = folder.with_name("original")
    shutil.copytree(folder, original)
    reforge(folder)
    assert call(home, "verify", run["run_id"]).code == 0, "the forger's tools work"
    reforge(folder, lambda ref: {**ref, "count": ref["count"] + 1})
    assert "but its references cover" in call(home, "verify", run["run_id"]).err

    def one_bar_more(rows: np.ndarray) -> np.ndarray:
        rows["seq"][10:] += 1
        return rows

    reforge(folder, rows_change=one_bar_more)  # the gaps agree with the count, the market tape does not
    said = call(home, "verify", run["run_id"])
    assert said.code == 65 and f"it refers to {run['bars'] + 1:,} bars" in said.err
    shutil.rmtree(folder)
    shutil.copytree(original, folder)
    reforge(folder, lambda ref: {**ref, "selection": {**ref["selection"], "instruments": [0]}})
    assert call(home, "verify", run["run_id"]).code == 65


def test_reference_of_a_config(run, home):
    """What a run refers to comes from its configuration alone."""
    rows, notes = stored(home / "runs" / run["run_id"])
    [ref] = read_refs(home / "runs" / run["run_id"])
    assert json.loads(make_ref(json.loads(notes[1]), run["bars"])) == ref


def test_market_tape_gone_or_other(home, run, call):
    shutil.move(home / "tapes" / "market" / "nse", home / "elsewhere")
    said = call(home, "verify", run["run_id"])
    assert said.code in (2, 65) and "nse" in said.err


def test_a_killed_backtest_is_no_tape_and_no_damage(home, run, call):
    (home / "runs" / "20990101T000000000-killed-0000").mkdir()
    (home / "runs" / "20990101T000000000-killed-0000" / "order.parquet").write_bytes(b"PAR1")
    said = call(home, "verify")
    assert said.code == 0 and "did not finish" in said.out
    assert call(home, "verify", "20990101").code == 65
    assert call(home, "runs").code == 0


@pytest.mark.sim
def test_torn_last_frame_is_said_and_healed(home, account, call, good):
    [segment] = (home / "tapes" / "accounts" / "main-paper").glob("*.segment")
    whole = segment.read_bytes()
    segment.write_bytes(whole + whole[:90])  # a write that a crash cut short: nobody was promised it
    said = call(home, "verify", "main-paper")
    assert said.code == 0 and "bytes of a torn last write" in said.out
    assert (
        good(home, "live", *TWO[:2], "--symbols", "ACC", "--feed", "replay:nse@max")["decision_digest"]
        == account["decision_digest"]
    )
    assert good(home, "verify")["verified"] == 2  # the quarantined bytes beside it belong there
    [aside] = (segment.parent / "quarantine").iterdir()
    assert aside.read_bytes() == whole[:90].rstrip(b"\0")
    rows, notes = stored(segment.parent)
    [told] = rows[rows["kind"] == int(Kind.TAPE_TRUNCATED)]
    assert (int(told["segment"]), int(told["offset"]), int(told["lost_bytes"])) == (
        1,
        len(whole),
        len(whole[:90].rstrip(b"\0")),
    )
    assert aside.name in notes[int(told["seq"])]
    assert good(home, "replay", "main-paper")["identical"]


def test_nothing_to_verify(tmp_path, call):
    said = call(tmp_path / "empty", "verify")
    assert said.code == 0 and "nothing to verify" in said.out


def test_the_instrument_table_is_checked(home, call):
    """Numbers on tapes mean what instruments.json says: a swapped pair would trade one name's bars as another's."""
    from adapters.market.instruments import Registry

    path = Registry.load(home).path
    text = path.read_text()
    swapped = text.replace('"ACC"', '"_"').replace('"TCS"', '"ACC"').replace('"_"', '"TCS"')
    assert swapped != text
    path.write_text(swapped)
    said = call(home, "verify")
    assert said.code == 65 and "instruments.json" in said.err and "ACC" in said.err
