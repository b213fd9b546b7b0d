"""A sync that fails loses what it was asked for, and the system's cache still shows it: nobody may believe that.

Linux takes the pages of a failed sync for written. Whoever reads them sees what is on no disk, a later sync succeeds
and writes nothing of it, and it is gone with the next power cut.
"""

import errno
from pathlib import Path

import pytest

from adapters.tape.writer import TapeWriter
from kernel.errors import TapePoisoned
from tests.adapters.tape.rows import some_rows
from tests.simulation.disk import Mode, Op, Platter, RecordingDisk, files_below
from tests.simulation.worlds import lay_out


class LosingDisk(RecordingDisk):
    """The `fails`-th sync of a file fails. `platter` is what is on the disk; the real folder is the cache."""

    def __init__(self, root: Path, fails: int) -> None:
        super().__init__(root)
        self.platter, self._seen, self._left = Platter(files_below(root)), 0, fails

    def take(self) -> Platter:
        """The disk as it is now."""
        for op in self.log[self._seen :]:
            self.platter.take(op)
        self._seen = len(self.log)
        return self.platter

    def sync(self, descriptor: int) -> None:
        self._left -= 1
        if self._left == 0:
            self.log.append(Op("lose", self._descriptors[descriptor]))
            raise OSError(errno.EIO, "Input/output error")
        super().sync(descriptor)

    def drop_cached(self, path: Path) -> None:
        held = self.take().after_crash(Mode.KEEP)[self._name(path)]
        assert held is not None
        path.write_bytes(held)


def work(folder: Path, disk: LosingDisk) -> bool:
    """Seven frames in some segments; whether all went well."""
    try:
        with TapeWriter(folder, 1_700, disk=disk) as tape:
            for k in range(7):
                tape.append(some_rows(2, k, tape.last_seq + 1), durable=k % 3 > 0)
    except TapePoisoned:
        return False
    return True


@pytest.mark.parametrize("fails", range(1, 24))
def test_what_a_failed_sync_lost_is_not_promised_by_the_next_writer(tmp_path, fails):
    """In the same boot: the next writer goes on, and after a power cut all that it found and wrote is there."""
    folder = tmp_path / "t"
    folder.mkdir()
    disk = LosingDisk(folder, fails)
    if work(folder, disk):
        assert fails > 16, "more syncs than that are made"
        return
    with TapeWriter(folder, 1_700, disk=disk) as again:
        found = again.durable_seq
        again.append(some_rows(2, 9, again.last_seq + 1))
        platter = disk.take()
        left = [platter.after_crash(mode) for mode in (Mode.LOSE, Mode.KEEP)]
    for k, files in enumerate(left):
        lay_out(tmp_path / f"after {k}", files)
        with TapeWriter(tmp_path / f"after {k}", 1_700) as tape:
            assert tape.last_seq == found + 2
