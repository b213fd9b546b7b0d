"""Retention: ticks go, their tombstones stay, all else is as it was, and the tape still proves itself."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import adapters.tape.retire as module
from adapters.files import take_lock
from adapters.tape.check import check_tape
from adapters.tape.parts import part_path, sealed_parts
from adapters.tape.reader import read_rows
from adapters.tape.retire import require_inputs, retire, retired_inputs, tick_files
from adapters.tape.rolling import SEALER_LOCK, seal_closed
from adapters.tape.sealed import read_manifest
from adapters.tape.writer import TapeWriter
from kernel.codes import Kind
from kernel.errors import NotReplayable, TapeCorrupt, TapeLocked
from tests.adapters.tape.rows import gather, make_rows, same

COUNT = 150_000
NOW = "2024-02-01T00:00:00Z"
SECOND = 10**9
TICKS = (int(Kind.QUOTE), int(Kind.TRADE))


def some(count: int, first_seq: int) -> np.ndarray:
    """Quotes and trades among bars, orders and timers; event n at second n."""
    base = make_rows([int(k) for k in (Kind.QUOTE, Kind.BAR, Kind.TRADE, Kind.SIGNAL, Kind.QUOTE, Kind.TIMER)] * 200, 5)
    rows = np.tile(base, count // len(base) + 1)[:count].copy()
    rows["seq"] = first_seq + np.arange(count)
    rows["ts_init"] = rows["ts_event"] = rows["seq"] * SECOND
    return rows


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A tape of many sealed parts and an open segment."""
    folder = tmp_path_factory.mktemp("ticks") / "main-paper"
    rows = some(COUNT, 1)
    with TapeWriter(folder, 2**21) as tape:
        for start in range(0, COUNT, 1_000):
            tape.append(rows[start : start + 1_000], {start + 7: "noted"}, durable=False)
    seal_closed(folder)
    return folder


@pytest.fixture
def tape(made, tmp_path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "main-paper"))


@pytest.mark.sim
def test_only_old_ticks_of_full_chunks_are_offered(tape):
    files = tick_files(tape, 60_000 * SECOND)
    assert {file.path.name for file in files} == {"quote.parquet", "trade.parquet"}
    assert files and max(file.last_ts for file in files) < 60_000 * SECOND
    assert sum(file.rows for file in files) < sum(file.rows for file in tick_files(tape, 10**19))
    newest = sealed_parts(tape)[-1]
    assert part_path(tape, newest.segment) not in {file.path.parent for file in tick_files(tape, 10**19)}
    assert tick_files(tape, 0) == []


def test_ticks_go_and_all_else_stays(tape):
    before, (rows, _) = check_tape(tape), gather(read_rows(tape))
    decisions = {
        path: path.read_bytes() for path in (tape / "sealed").rglob("*.parquet") if path.stem not in ("quote", "trade")
    }
    files = tick_files(tape, 60_000 * SECOND)
    size = sum(file.path.stat().st_size for file in files)
    assert retire(tape, files, NOW) == size
    assert not any(file.path.exists() for file in files)
    assert {path: path.read_bytes() for path in decisions} == decisions
    about = read_manifest(files[0].path.parent)
    assert about["retired"]["quote.parquet"]["sha256"] == files[0].sha256
    assert (
        about["retired"]["quote.parquet"] | {"retired_at": NOW, "rows": files[0].rows}
        == about["retired"]["quote.parquet"]
    )
    after, (left, _) = check_tape(tape), gather(read_rows(tape))
    assert (after.digest.hex(), after.rows, after.anchor) == (before.digest.hex(), before.rows, before.anchor)
    end = max(file.last_seq for file in files)
    gone = np.isin(rows["kind"], TICKS) & (rows["seq"] <= sealed_parts(tape)[len(files) // 2 - 1].anchor.seq)
    assert end <= sealed_parts(tape)[len(files) // 2 - 1].anchor.seq and same(left, rows[~gone])
    assert sum(g.rows for g in retired_inputs(tape)) == gone.sum() == sum(file.rows for file in files)


@pytest.mark.sim
def test_the_tape_goes_on_and_more_can_go_later(tape):
    digest = check_tape(tape).digest.hex()
    retire(tape, tick_files(tape, 40_000 * SECOND), NOW)
    with TapeWriter(tape, 2**21) as writer:
        assert (writer.tape_digest.hex(), writer.last_seq, writer.rows) == (digest, COUNT, COUNT)
        writer.append(some(20_000, COUNT + 1))
        digest = writer.tape_digest.hex()
    seal_closed(tape, whole=True)
    retire(tape, tick_files(tape, 100_000 * SECOND), NOW)
    assert check_tape(tape).digest.hex() == digest
    retire(tape, tick_files(tape, 10**19), NOW)
    assert check_tape(tape).digest.hex() == digest
    with TapeWriter(tape, 2**21) as writer:
        assert writer.tape_digest.hex() == digest


def test_replay_needs_them(tape):
    require_inputs(tape)
    files = tick_files(tape, 60_000 * SECOND)
    retire(tape, files, NOW)
    last = max(file.last_seq for file in files)
    with pytest.raises(NotReplayable, match=r"NOT REPLAYABLE: input retired.*2024-02-01") as raised:
        require_inputs(tape)
    assert raised.value.exit_code == 2
    with pytest.raises(NotReplayable):
        require_inputs(tape, last)
    require_inputs(tape, last + 1)
    require_inputs(tape, 0, 0)


@pytest.mark.sim
def test_killed_between_tombstone_and_removal(tape, monkeypatch):
    digest, files = check_tape(tape).digest.hex(), tick_files(tape, 60_000 * SECOND)

    def killed(part, disk):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, "_remove_buried", killed)
        with pytest.raises(KeyboardInterrupt):
            retire(tape, files, NOW)
    assert files[0].path.exists() and check_tape(tape).digest.hex() == digest
    kinds = np.unique(np.concatenate([rows["kind"] for rows, _ in read_rows(files[0].path.parent)]))
    assert not set(TICKS) & set(kinds.tolist()), "the tombstone counts, not the file"
    retire(tape, tick_files(tape, 60_000 * SECOND), NOW)
    assert not files[0].path.exists() and check_tape(tape).digest.hex() == digest


@pytest.mark.sim
@pytest.mark.parametrize("what", ["file", "manifest", "left"])
def test_damage_beside_a_tombstone_is_found(tape, what):
    files = tick_files(tape, 60_000 * SECOND)
    retire(tape, files, NOW)
    part = files[0].path.parent
    path = {"file": part / "bar.parquet", "manifest": part / "manifest.json", "left": part / "quote.parquet"}[what]
    if what == "left":
        path.write_bytes(b"not the file that was retired")
    else:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    with pytest.raises(TapeCorrupt, match=f"{part.name}.*{path.name}"):
        check_tape(tape)


@pytest.mark.sim
def test_not_while_it_is_sealed(tape):
    held = take_lock(tape / SEALER_LOCK)
    with pytest.raises(TapeLocked):
        retire(tape, tick_files(tape, 60_000 * SECOND), NOW)
    os.close(held)
    assert retired_inputs(tape) == []


def test_only_ticks_may_go(tape):
    file = tick_files(tape, 60_000 * SECOND)[0]
    with pytest.raises(AssertionError, match="only ticks"):
        retire(tape, [replace(file, path=file.path.with_name("order.parquet"))], NOW)
