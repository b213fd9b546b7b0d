"""Plant bugs in tape and kernel, one at a time, and see that the fast tests catch each: `python -m tests.simulation.planted`.

A bug is a change of the text of a copy; the tests of the copy are run on it. A bug that no test catches is a test that
is missing. `-v` shows which test caught it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.simulation.bug import Bug
from tests.simulation.planted_kernel import BUGS as KERNEL_BUGS

ROOT = Path(__file__).parents[2]
TAPE, SIMULATION = "tests/adapters/tape/", "tests/simulation/test_crash.py"
FLIPS, DAMAGE, READERS = f"{TAPE}test_flips.py", f"{TAPE}test_damage.py", f"{TAPE}test_readers.py"
POISON, WRITERS = f"{TAPE}test_poison.py", f"{TAPE}test_writers.py"
ROLLING, FAULTS = f"{TAPE}test_rolling.py", f"{TAPE}test_rolling_faults.py"
CARE, CACHE = "tests/simulation/test_upkeep.py", "tests/simulation/test_cache.py"
WATERMARK, BESIDE, LOCKS = f"{TAPE}test_watermark.py", f"{TAPE}test_beside.py", f"{TAPE}test_locks.py"


# One change is left out: when a writer goes on in a segment that was closed, it syncs the room it reserves. Without
# that sync the first commit's own makes the length durable with its frame, and before it nobody was promised anything:
# no crash can tell. It is there so that the first commit costs what all others do.
BUGS = [
    Bug("skip fsync", "disk.py", "            os.fdatasync(descriptor)\n", "            pass\n", (POISON,)),
    Bug(
        "skip the sync of a commit",
        "tape/writer.py",
        "            self._disk.sync(self._file)\n            self.durable_seq",
        "            self.durable_seq",
        (SIMULATION,),
    ),
    Bug(
        "skip the folder's sync",
        "tape/writer.py",
        "        self._disk.sync(self._file)\n        self._disk.sync_folder(self.folder)\n        self._offset, self._room = 0",
        "        self._disk.sync(self._file)\n        self._offset, self._room = 0",
        (SIMULATION,),
    ),
    Bug(
        "trust the length",
        "tape/frame.py",
        "    return google_crc32c.value(bytes(body)) == header.body_crc and bytes(trailer)",
        "    return bytes(trailer)",
        (FLIPS,),
    ),
    Bug(
        "accept the first bad checksum as the end",
        "tape/scan.py",
        "            _check_end(path, walk, rest, watermark)\n",
        "            watermark = Watermark(epoch=watermark.epoch)\n",
        (FLIPS,),
    ),
    Bug(
        "a bad checksum in an inner segment is its end",
        "tape/scan.py",
        "        if later and rest:\n",
        "        if later and False:\n",
        (DAMAGE,),
    ),
    Bug(
        "skip the second-last segment",
        "tape/scan.py",
        "        walk = Walk(path, anchor, limit=watermark.offset if last else None)\n",
        "        skipped = 2**62 if [path] == paths[-2:-1] else 0\n"
        "        walk = Walk(path, anchor, limit=watermark.offset if last else None, from_seq=skipped)\n",
        (DAMAGE,),
        (
            (
                "    if place.header.kind == EVENTS:\n        found, notes",
                (
                    "    if not len(place.body):\n        return place.header.epoch, rows + place.header.rows\n"
                    "    if place.header.kind == EVENTS:\n        found, notes"
                ),
            ),
            ("    if digest.digest() != place.header.tape_digest:\n", "    if False:\n"),
        ),
    ),
    Bug(
        "watermark moved before the sync",
        "tape/writer.py",
        "            self._disk.sync(self._file)\n            self.durable_seq, self._durable = self.last_seq, self._number\n"
        "            self._move_mark(self._segment, self._offset)\n",
        "            self._move_mark(self._segment, self._offset)\n            self._disk.sync(self._file)\n"
        "            self.durable_seq, self._durable = self.last_seq, self._number\n",
        (SIMULATION,),
    ),
    Bug(
        "the watermark is never looked at",
        "tape/scan.py",
        "    if watermark.number > walk.anchor.number:\n",
        "    if False:\n",
        (DAMAGE,),
    ),
    Bug("later frames are never asked", "tape/scan.py", "    while at >= 0:\n", "    while False:\n", (DAMAGE,)),
    Bug(
        "a torn write is thrown away",
        "tape/writer.py",
        "        if found.torn:\n            self._quarantine(path, found)\n",
        "",
        (DAMAGE,),
    ),
    Bug(
        "go on in the segment that failed",
        "tape/writer.py",
        "        if found.cut and found.offset < self._segment_bytes:",
        "        if found.offset < self._segment_bytes:",
        (WRITERS, POISON),
    ),
    Bug(
        "go on in the segment that failed, one writer later",
        "tape/writer.py",
        "self._move_mark(self._segment + 1, 0)",
        "self._move_mark(self._segment, found.offset)",
        (POISON,),
    ),
    Bug("the epoch is not raised", "tape/writer.py", "epoch=watermark.epoch + 1", "epoch=watermark.epoch", (WRITERS,)),
    Bug(
        "a stale writer goes on",
        "tape/writer.py",
        "        if not self.is_ours():\n",
        "        if False:\n",
        (WRITERS,),
    ),
    Bug("poison wears off", "tape/writer.py", "        self._poison = error\n", "", (POISON,)),
    Bug(
        "a short write is not noticed",
        "tape/writer.py",
        "            if written != length:\n",
        "            if False:\n",
        (POISON,),
    ),
    Bug(
        "readers go on beyond the watermark",
        "tape/reader.py",
        "mark.offset if is_last else None, self.next_seq)",
        "None, self.next_seq)",
        (READERS,),
    ),
    Bug(
        "readers do not check how parts follow",
        "tape/reader.py",
        "        if part.segment != self._segment or not follows:\n",
        "        if False:\n",
        (READERS,),
    ),
    Bug(
        "the chain is not followed",
        "tape/scan.py",
        "        if header.number != self.anchor.number + 1 or header.previous != self.anchor.sha:\n",
        "        if False:\n",
        (DAMAGE,),
    ),
    Bug(
        "seal without reading back",
        "tape/rolling.py",
        "    check_rows(unfinished, manifest, start.digest)\n",
        "",
        (FAULTS,),
    ),
    Bug(
        "seal without comparing the digest",
        "tape/rolling.py",
        "            if place.header.tape_digest != tape.tape_digest.digest():\n",
        "            if False:\n",
        (FAULTS,),
    ),
    Bug(
        "frames go before their part is durable",
        "tape/rolling.py",
        "    disk.sync_folder(target.parent)\n    disk.remove(path)\n",
        "    disk.remove(path)\n    disk.sync_folder(target.parent)\n",
        (CARE,),
    ),
    Bug(
        "a part gets its name before its files are durable",
        "tape/sealed.py",
        "            self._disk.sync_file(self.folder / name)\n",
        "            pass\n",
        (CARE,),
    ),
    Bug(
        "seal before all frames were looked at",
        "tape/rolling.py",
        "    found = examine(folder, mark, start, seen, being_written=not whole)\n    if found.torn:\n",
        "    ends = dict.fromkeys(range(2**10))\n    found = None\n    if found:\n",
        (FAULTS,),
    ),
    Bug(
        "retired files go before their tombstone",
        "tape/retire.py",
        "    write_manifest(part, manifest, disk)\n",
        "    for file in files:\n        disk.remove(file.path)\n    disk.sync_folder(part)\n"
        "    write_manifest(part, manifest, disk)\n",
        (CARE,),
    ),
    Bug(
        "repair cuts off before it keeps",
        "tape/repair.py",
        '        with path.open("rb") as file:\n            file.seek(offset)\n'
        "            disk.write_whole(target, file.read())\n        descriptor = disk.open(path)\n",
        '        with path.open("rb") as file:\n            file.seek(offset)\n            cut = file.read()\n'
        "        descriptor = disk.open(path)\n",
        (CARE,),
        (
            (
                "            disk.close(descriptor)\n    return target\n",
                "            disk.close(descriptor)\n        disk.write_whole(target, cut)\n    return target\n",
            ),
        ),
    ),
    Bug(
        "repair moves aside without a sync of where it goes",
        "tape/repair.py",
        "        disk.sync_folder(target.parent)\n        disk.sync_folder(path.parent)\n",
        "        disk.sync_folder(path.parent)\n",
        (CARE,),
    ),
    Bug(
        "the segment being written is sealed",
        "tape/rolling.py",
        "mark_in_force(folder).segment, False, disk)\n",
        "mark_in_force(folder).segment + 1, False, disk)\n",
        (ROLLING,),
    ),
    Bug(
        "quarantine after the cut",
        "tape/writer.py",
        "        if found.torn:\n            self._quarantine(path, found)\n        self._file = self._disk.open(path)\n",
        "        self._file = self._disk.open(path)\n        if found.torn:\n"
        "            self._disk.truncate(self._file, found.offset)\n            self._quarantine(path, found)\n",
        (SIMULATION, DAMAGE),
    ),
    Bug(
        "the name of the quarantine is not synced",
        "tape/writer.py",
        "        if found.torn:\n            self._quarantine(path, found)\n        self._file = self._disk.open(path)\n"
        "        self._disk.sync_folder(self.folder)",
        "        self._disk.sync_folder(self.folder)\n        if found.torn:\n            self._quarantine(path, found)\n"
        "        self._file = self._disk.open(path)",
        (SIMULATION,),
    ),
    Bug(
        "one torn write takes the place of another",
        "tape/writer.py",
        "        while target.exists() and target.read_bytes() != torn:",
        "        while False:",
        (SIMULATION,),
    ),
    Bug(
        "a file that is replaced is not synced",
        "disk.py",
        "            self.sync(descriptor)\n        finally:\n            self.close(descriptor)\n",
        "            pass\n        finally:\n            self.close(descriptor)\n",
        (SIMULATION,),
    ),
    Bug(
        "the name of a file that is replaced is not synced",
        "disk.py",
        "        self.rename(temporary, path)\n        self.sync_folder(path.parent)\n",
        "        self.rename(temporary, path)\n",
        (SIMULATION,),
    ),
    Bug(
        "a segment ends and the watermark is not synced",
        "tape/writer.py",
        "        self._disk.sync(self._file)\n        self._marked.sync()\n        self._disk.close",
        "        self._disk.sync(self._file)\n        self._disk.close",
        (SIMULATION,),
    ),
    Bug(
        "a torn segment is left and the watermark is not synced",
        "tape/writer.py",
        "            self._marked.sync()  # nobody goes on in this one",
        "            pass  # nobody goes on in this one",
        (SIMULATION,),
    ),
    Bug(
        "what a killed writer left is not synced",
        "tape/writer.py",
        "            self._disk.sync(self._file)  # of its frames, too",
        "            pass  # of its frames, too",
        (SIMULATION,),
    ),
    Bug(
        "the name of a segment that a killed writer made is not synced",
        "tape/writer.py",
        "        self._disk.sync_folder(self.folder)  # the quarantine's",
        "        pass  # the quarantine's",
        (SIMULATION, CACHE),
    ),
    Bug(
        "the epoch is not synced",
        "tape/writer.py",
        "        self._mark.sync()\n        self.tape_digest",
        "        self.tape_digest",
        (SIMULATION,),
    ),
    Bug(
        "what a failed sync left in the cache is believed",
        "tape/writer.py",
        "            self._disk.drop_cached(path)",
        "            pass",
        (CACHE,),
    ),
    Bug(
        "a blank slot is a watermark",
        "tape/watermark.py",
        "    if slots[1] == RELEASE_1 and raws[0] == bytes(SLOT):\n        slots[0] = Watermark()\n",
        "    slots = [Watermark() if raw == bytes(SLOT) else slot for raw, slot in zip(raws, slots, strict=True)]\n",
        (WATERMARK,),
    ),
    Bug(
        "a slot may stand in the place of the other",
        "tape/watermark.py",
        "slot.counter % 2 == place else None",
        "True else None",
        (WATERMARK,),
    ),
    Bug(
        "readers believe a watermark that was put back",
        "tape/scan.py",
        "    while behind := begun_behind(folder, mark):\n",
        "    while behind := None:\n",
        (WATERMARK,),
    ),
    Bug(
        "a tape is begun in the place of one that is gone",
        "tape/writer.py",
        "            if (self.folder / name).exists():\n                raise",
        "            if False:\n                raise",
        (WATERMARK,),
    ),
    Bug(
        "half an append is forgotten",
        "tape/writer.py",
        "        except BaseException as error:  # half an append: its digest is not that of the frames\n"
        "            self._poison = self._poison or error\n",
        "        except BaseException:\n",
        (POISON,),
    ),
    Bug(
        "a tape that changes is looked at once",
        "tape/parts.py",
        "    for _ in range(LOOKS):\n        before = _turn(folder)\n",
        "    for _ in range(LOOKS):\n        before = _turn(folder)\n        return look()\n",
        (BESIDE,),
    ),
    Bug(
        "who looks keeps writers out",
        "files.py",
        "    while not _lock(descriptor):\n        if time.monotonic() > end:\n",
        "    while not _lock(descriptor):\n        if True:\n",
        (LOCKS,),
    ),
    *KERNEL_BUGS,
]


def plant(bug: Bug, room: Path) -> Path:
    """A copy of the sources with the bug in it."""
    name = "".join(c if c.isalnum() else "-" for c in bug.name)  # a comma is what a strategy's parameters follow
    tree = room / name
    ignored = shutil.ignore_patterns("__pycache__", "*.nbi", "*.nbc", "sample")
    for folder in ("adapters", "kernel", "tests"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=ignored)
    for file in ("pyproject.toml", "onetape.py"):
        shutil.copy(ROOT / file, tree / file)
    path = tree / bug.file if bug.in_kernel else tree / "adapters" / bug.file
    text = path.read_text()
    for old, new in ((bug.old, bug.new), *bug.more):
        assert text.count(old) == 1, f"{bug.name}: its place is there {text.count(old)} times: look at planted.py"
        text = text.replace(old, new)
    path.write_text(text)
    return tree


def caught_by(bug: Bug, room: Path) -> str:
    """The first test that sees the bug, "" when none does."""
    tree = plant(bug, room)
    asked = [sys.executable, "-m", "pytest", "-q", "-x", "--tb=line", "-p", "no:cacheprovider", "-p", "no:xdist"]
    asked += ["-m", "not torture"]  # some of the files are behind `just sim`
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    if bug.in_kernel:  # interpreted where that will do: seconds, and not half a minute for compiling the engine
        environment |= {"ONETAPE_JIT": "1" if bug.compiled else "0", "ONETAPE_CACHE": str(tree / "compiled")}
    for tests in bug.tests:
        done = subprocess.run([*asked, tests], cwd=tree, env=environment, capture_output=True, text=True, check=False)
        if done.returncode == 1:
            failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
            return failed[0].split(" - ")[0].removeprefix("FAILED ")
        assert done.returncode == 0, f"{bug.name}: the tests could not be run:\n{done.stdout}{done.stderr}"
    shutil.rmtree(tree)
    return ""


def main(arguments: list[str]) -> int:
    """Print one line a bug; returns how many were missed."""
    wanted = [bug for bug in BUGS if not arguments or any(word in bug.name for word in arguments)]
    with tempfile.TemporaryDirectory(prefix="onetape-planted-") as room, ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda bug: caught_by(bug, Path(room)), wanted))
    for bug, test in zip(wanted, found, strict=True):
        print(f"{'caught' if test else 'MISSED'}  {bug.name:55} {test}")
    missed = found.count("")
    print(f"{len(wanted) - missed} of {len(wanted)} caught")
    return missed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) > 0)
