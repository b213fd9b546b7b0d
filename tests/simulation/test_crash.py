"""Power lost at every operation of a writer, in every way: nothing promised is lost, nothing invented, no false alarm.

1,000 states in the suite, 5,000 in `./just sim`; `ONETAPE_TORTURE=500000 ./just torture tests/simulation` tries that many,
20,000 without.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulation.disk import Mode, Op, Platter, files_after_crash, files_below
from tests.simulation.sessions import play
from tests.simulation.worlds import World, crashes, lay_out

SHARES = 4  # so that several test processes work at once
STATES, SIM_STATES = 1_000, 5_000
TORTURE_STATES = int(os.environ.get("ONETAPE_TORTURE", "20000"))


@pytest.fixture
def room() -> Iterator[Path]:
    """A folder in memory: what is simulated needs no real disk."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="onetape-crash-", dir=memory))
    yield folder
    shutil.rmtree(folder)


def explore(room: Path, share: int, states: int) -> int:
    """Worlds of a share until enough distinct states were tried; returns how many."""
    known: set[int] = set()
    seed = share
    while len(known) < states / SHARES:
        World(seed, room, known=known).explore()
        seed += SHARES
    return len(known)


@pytest.mark.parametrize("share", range(SHARES))
def test_a_crash_at_every_operation(room, share):
    assert explore(room, share, STATES) >= STATES / SHARES


@pytest.mark.sim
@pytest.mark.parametrize("share", range(SHARES))
def test_more_crashes(room, share):
    assert explore(room, SHARES * 1_000 + share, SIM_STATES) >= SIM_STATES / SHARES


@pytest.mark.torture
@pytest.mark.parametrize("share", range(SHARES))
def test_many_crashes(room, share):
    assert explore(room, SHARES * 10_000 + share, TORTURE_STATES) >= TORTURE_STATES / SHARES


# The simulation itself ------------------------------------------------------------------------------------------------


class Compared(list[Op]):
    """A log that compares what the simulation keeps with the real folder after every operation."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root, self._platter = root, Platter(files_below(root))

    def append(self, op: Op) -> None:
        super().append(op)
        if op.what != "note":
            self._platter.take(op)
            assert files_below(self._root) == self._platter.after_crash(Mode.KEEP), f"after operation {len(self)}: {op}"


@pytest.mark.parametrize("seed", range(3))
def test_keeping_everything_is_what_the_real_file_system_did(room, seed):
    folder = room / "tape"
    folder.mkdir()
    session = play(folder, seed, 12, [], 2_048, False, Compared(folder))
    assert len(session.log) > 50
    torn = next(files for crash, files in crashes(session, 4) if crash.mode is Mode.TEAR and crash.operation > 50)
    again = room / "again"
    lay_out(again, torn)
    assert len(play(again, seed, 3, [], 2_048, False, Compared(again)).log) > 10


def a_log() -> list[Op]:
    """File 1 is written and synced, then changed; its name is synced only at the end; file 2 never."""
    return [
        Op("create", 1, "a"),
        Op("write", 1, offset=0, data=b"A" * 1_024),
        Op("sync", 1),
        Op("write", 1, offset=512, data=b"B" * 1_024),
        Op("truncate", 1, offset=1_200),
        Op("sync_folder"),
        Op("create", 2, "b"),
        Op("write", 2, offset=0, data=b"C"),
        Op("rename", path="b", to="c"),
        Op("remove", path="a"),
    ]


def test_what_each_mode_leaves():
    log, old, new = a_log(), b"A" * 1_024, b"A" * 512 + b"B" * 688
    assert files_after_crash({}, log[:5], Mode.LOSE) == {}
    assert files_after_crash({}, log[:5], Mode.ENTRIES) == {}
    assert files_after_crash({}, log[:5], Mode.KEEP) == {"a": new}
    assert files_after_crash({}, log, Mode.KEEP) == {"c": b"C"}
    assert files_after_crash({}, log, Mode.LOSE) == {"a": old}
    assert files_after_crash({}, log, Mode.ENTRIES) == {"a": new}
    started = {"a": b"x" * 3, "sub": None, "sub/b": b"y"}
    assert files_after_crash(started, [Op("remove", path="sub/b"), Op("sync_folder")], Mode.LOSE) == started
    assert files_after_crash(started, [Op("remove", path="sub/b"), Op("sync_folder", path="sub")], Mode.LOSE) == {
        "a": b"x" * 3,
        "sub": None,
    }


def test_chance_leaves_every_mixture():
    """Sectors and writes come and go one by one, what was synced never does; the same seed leaves the same."""
    log = a_log()[:6]
    b = b"B" * 512
    torn = {files_after_crash({}, log, Mode.TEAR, seed)["a"] for seed in range(200)}
    assert {content[:512] for content in torn} == {b"A" * 512}
    assert {content[512:1_024] for content in torn} == {b"A" * 512, b}
    assert {len(content) for content in torn} == {1_024, 1_200, 1_536}
    assert {content[1_024:] for content in torn} == {b"", b[:176], bytes(176), b, bytes(512), b[:176] + bytes(336)}
    mixed = {files_after_crash({}, log, Mode.REORDER, seed)["a"] for seed in range(200)}
    a = b"A" * 512
    assert mixed == {a + a, a + b + b, a + b + b[:176], a + a + bytes(176)}
    names = {tuple(files_after_crash({}, a_log(), Mode.REORDER, seed)) for seed in range(200)}
    assert names == {("a",), ("a", "b"), ("a", "c"), ("c",)}, "names come in order"
    for mode in Mode:
        assert files_after_crash({}, a_log(), mode, 9) == files_after_crash({}, a_log(), mode, 9)


def test_a_crash_can_be_seen_again(room):
    """The seed in a failure gives the same session and the same files."""
    seen = []
    for name in ("one", "two"):
        folder = room / name
        folder.mkdir()
        seen.append(list(crashes(play(folder, 5, 4, [], 1_500, False), 2)))
    assert seen[0] == seen[1] and len(seen[0]) > 50
