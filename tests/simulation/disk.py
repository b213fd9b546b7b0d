"""A disk that can lose power: every operation is done on a real folder and written down, to be crashed afterwards.

What a crash may leave follows ext4: `sync` makes the earlier writes and the length of one file durable, not its name;
`sync_folder` makes the names in one folder durable, in the order in which they were given; anything else may be there
or not, writes in any order and by sectors of 512 bytes, names in order within a folder. What moves to another folder is
there under both names until both folders are synced, or under none where the old one is synced first.
"""

import os
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from adapters.disk import Disk

SECTOR = 512
FOLDER = 0  # the file number of what is a folder
Files = dict[str, bytes | None]  # relative path: content, None for a folder


class Op(NamedTuple):
    """One operation: what, on which file (they are numbered from 1), on which name in which folder."""

    what: str
    file: int = FOLDER
    path: str = ""
    to: str = ""
    offset: int = 0
    data: bytes = b""


class Mode(Enum):
    """What a crash does with everything that was not synced."""

    LOSE = "lose everything"
    KEEP = "keep everything"
    REORDER = "any of the writes survive"
    TEAR = "any sectors of the writes survive"
    ENTRIES = "lose directory entries"


RANDOM = (Mode.REORDER, Mode.TEAR)


class Killed(BaseException):
    """The process ended; the system goes on."""


class RecordingDisk(Disk):
    """Does everything below `root` and keeps a log of it. Files that are there already are numbered in name order.

    `dies`: the process that uses it is killed before so many more operations.
    """

    dies = 0

    def __init__(self, root: Path, log: list[Op] | None = None) -> None:
        self.root, self.log = root, [] if log is None else log
        self._numbers = {name: k for k, (name, _) in enumerate(sorted(files_below(root).items()), 1)}
        self._descriptors: dict[int, int] = {}
        self._count = len(self._numbers)

    def _name(self, path: Path) -> str:
        name = path.relative_to(self.root).as_posix()
        return "" if name == "." else name

    def _live(self) -> None:
        if self.dies:
            self.dies -= 1
            if self.dies == 0:
                raise Killed

    def open(self, path: Path) -> int:
        self._live()
        descriptor, name = super().open(path), self._name(path)
        if name not in self._numbers:
            self._count += 1
            self._numbers[name] = self._count
            self.log.append(Op("create", self._count, name))
        self._descriptors[descriptor] = self._numbers[name]
        return descriptor

    def write(self, descriptor: int, parts: Sequence[bytes], offset: int) -> int:
        self._live()
        written = super().write(descriptor, parts, offset)
        data = b"".join(parts)[:written]
        self.log.append(Op("write", self._descriptors[descriptor], offset=offset, data=data))
        return written

    def sync(self, descriptor: int) -> None:
        self._live()
        super().sync(descriptor)
        self.log.append(Op("sync", self._descriptors[descriptor]))

    def sync_file(self, path: Path) -> None:
        """Of a file that another library made: it is written down as if it had been written here, all at once."""
        self._live()
        name, descriptor = self._name(path), os.open(path, os.O_RDWR)
        if name not in self._numbers:
            self._count += 1
            self._numbers[name] = self._count
            self.log += [Op("create", self._count, name), Op("write", self._count, data=path.read_bytes())]
        self._descriptors[descriptor] = self._numbers[name]
        self.sync(descriptor)
        os.close(descriptor)

    def reserve(self, descriptor: int, length: int) -> None:
        self._live()
        super().reserve(descriptor, length)
        self.log.append(Op("reserve", self._descriptors[descriptor], offset=length))

    def truncate(self, descriptor: int, length: int) -> None:
        self._live()
        super().truncate(descriptor, length)
        self.log.append(Op("truncate", self._descriptors[descriptor], offset=length))

    def rename(self, old: Path, new: Path) -> None:
        self._live()
        is_folder = old.is_dir()
        super().rename(old, new)
        before, after = self._name(old), self._name(new)
        for name in [name for name in self._numbers if is_within(name, before)]:
            self._numbers[after + name[len(before) :]] = self._numbers.pop(name)
        if old.parent == new.parent:
            self.log.append(Op("rename", path=before, to=after))
        else:
            number = FOLDER if is_folder else self._numbers[after]
            self.log += [Op("link", number, path=after, to=before), Op("remove", path=before)]

    def remove(self, path: Path) -> None:
        self._live()
        super().remove(path)
        self._numbers.pop(self._name(path), None)  # it may be of another library, and never have been synced
        self.log.append(Op("remove", path=self._name(path)))

    def remove_folder(self, path: Path) -> None:
        self._live()
        super().remove_folder(path)
        self._numbers.pop(self._name(path), None)
        self.log.append(Op("remove", path=self._name(path)))

    def make_folder(self, path: Path) -> None:
        self._live()
        is_new = not path.exists()
        super().make_folder(path)
        if is_new:
            self.log.append(Op("folder", path=self._name(path)))

    def sync_folder(self, path: Path) -> None:
        self._live()
        super().sync_folder(path)
        self.log.append(Op("sync_folder", path=self._name(path)))


def files_below(root: Path) -> Files:
    """All files and folders below `root` but the locks, which mean nothing after a crash."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes() if path.is_file() else None
        for path in root.rglob("*")
        if path.suffix != ".lock"
    }


@dataclass
class Content:
    """What of a file is on the disk, and the operations on it that may not be."""

    durable: bytes = b""
    waiting: list[Op] = field(default_factory=list)


def applied(content: bytes, ops: Iterable[Op]) -> bytes:
    """A file after writes and changes of its length."""
    held = bytearray(content)
    for op in ops:
        if op.what == "write":
            held.extend(bytes(max(0, op.offset - len(held))))
            held[op.offset : op.offset + len(op.data)] = op.data
        elif op.what == "truncate" and op.offset < len(held):
            del held[op.offset :]
        else:
            held.extend(bytes(max(0, op.offset - len(held))))
    return bytes(held)


def torn(content: Content, rng: random.Random) -> bytes:
    """Each sector, and the length, as it was after some of the operations that wait: its own choice each."""
    versions = [content.durable]
    for op in content.waiting:
        versions.append(applied(versions[-1], [op]))
    length = len(rng.choice(versions))
    sectors = (rng.choice(versions)[at : at + SECTOR].ljust(SECTOR, b"\0") for at in range(0, length, SECTOR))
    return b"".join(sectors)[:length]


class Platter:
    """The disk as a crash would find it: fed with operations one by one, asked at any time what may be left."""

    def __init__(self, start: Files) -> None:
        numbers = {name: k for k, name in enumerate(sorted(start), 1)}
        self._contents = {numbers[name]: Content(data) for name, data in start.items() if data is not None}
        self._names = {name: FOLDER if start[name] is None else number for name, number in numbers.items()}
        self._waiting: list[Op] = []  # changes of names

    def take(self, op: Op) -> None:
        if op.what == "sync":
            content = self._contents[op.file]
            content.durable, content.waiting = applied(content.durable, content.waiting), []
        elif op.what == "lose":  # a sync that failed
            self._contents[op.file].waiting = []
        elif op.what == "sync_folder":
            durable = [each for each in self._waiting if folder_of(each.path) == op.path]
            self._names = renamed(self._names, durable)
            self._waiting = [moved(each, durable) for each in self._waiting if folder_of(each.path) != op.path]
        elif op.what in ("write", "reserve", "truncate"):
            self._contents[op.file].waiting.append(op)
        else:
            assert op.what == "link" or folder_of(op.path) == folder_of(op.to or op.path), (
                "a rename stays in its folder"
            )
            self._waiting.append(op)
            if op.what == "create":
                self._contents[op.file] = Content()

    @property
    def is_synced(self) -> bool:
        """Whether every crash leaves the same."""
        return not self._waiting and not any(content.waiting for content in self._contents.values())

    def after_crash(self, mode: Mode, seed: int = 0) -> Files:
        """The files that are left."""
        rng = random.Random(seed)
        names = renamed(self._names, self._names_kept(mode, rng))
        reached = {name for name, number in names.items() if number == FOLDER} | {""}
        found: Files = {}
        for name in sorted(names):
            if folder_of(name) in reached:
                found[name] = None if names[name] == FOLDER else self._left(self._contents[names[name]], mode, rng)
        return found

    def _names_kept(self, mode: Mode, rng: random.Random) -> list[Op]:
        """Of the changes of names that wait: none, all, or the first in each folder; what moves is never nowhere."""
        if mode is not Mode.REORDER:
            return [] if mode in (Mode.LOSE, Mode.ENTRIES) else self._waiting
        places = dict.fromkeys(folder_of(op.path) for op in self._waiting)
        left = {place: rng.randint(0, len(self._waiting)) for place in places}
        kept: list[Op] = []
        lost: set[str] = set()  # names that are not given up, since the new ones are not there
        for op in self._waiting:
            left[folder_of(op.path)] -= 1
            if left[folder_of(op.path)] >= 0 and op.path not in lost:
                kept.append(op)
            elif op.what == "link":
                lost.add(op.to)
        return kept

    def _left(self, content: Content, mode: Mode, rng: random.Random) -> bytes:
        if mode is Mode.LOSE or not content.waiting:
            return content.durable
        if mode is Mode.TEAR:
            return torn(content, rng)
        likely = rng.choice([0.2, 0.5, 0.8])
        lives = [mode is not Mode.REORDER or rng.random() < likely for _ in content.waiting]
        return applied(content.durable, [op for op, alive in zip(content.waiting, lives, strict=True) if alive])


def folder_of(name: str) -> str:
    return name.rpartition("/")[0]


def is_within(name: str, folder: str) -> bool:
    """Whether it is that name, or one below it."""
    return name == folder or name.startswith(folder + "/")


def moved(op: Op, durable: Iterable[Op]) -> Op:
    """A change that waits, in a folder that has another name by now."""
    for each in durable:
        if each.what == "rename" and is_within(folder_of(op.path), each.path):
            op = op._replace(path=each.to + op.path[len(each.path) :])
    return op


def renamed(names: Mapping[str, int], ops: Iterable[Op]) -> dict[str, int]:
    """The names after some were given, changed and taken away."""
    found = dict(names)
    for op in ops:
        if op.what in ("create", "folder"):
            found[op.path] = op.file
        elif op.what == "rename":
            for name in [name for name in found if is_within(name, op.path)]:
                found[op.to + name[len(op.path) :]] = found.pop(name)
        elif op.what == "link":
            inner = {op.path + name[len(op.to) :]: found[name] for name in found if is_within(name, op.to)}
            found |= {op.path: op.file} | inner
        else:
            found.pop(op.path, None)
    return found


def files_after_crash(start: Files, log: Sequence[Op], mode: Mode, seed: int = 0) -> Files:
    """What a crash right after `log` may leave of `start`; the same for the same arguments."""
    platter = Platter(start)
    for op in log:
        if op.what != "note":
            platter.take(op)
    return platter.after_crash(mode, seed)
