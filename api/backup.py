"""`onetape backup` and `restore`: a consistent copy of a home while live runs, and a home made of it again.

    DEST/20240101T093000Z/home/...      the tapes, runs and instruments as they stood
    DEST/20240101T093000Z/config/...    the configuration file
    DEST/20240101T093000Z/backup.json   every file with size and SHA-256
    DEST/latest                         names the newest

Each backup is a whole folder that needs no other. A file that never changes and is in the backup before is linked from
there, not copied again, once both were read and have the same hash; nothing is ever linked to the home itself.
"""

import hashlib
import json
import os
import shutil
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adapters.files import canonical_json, make_folder, sha256_file, sync_file, sync_folder, take_lock, write_whole
from adapters.market.tape import MANIFEST, open_tape, tapes_folder
from adapters.tape.check import check_tape, find_end
from adapters.tape.parts import SealedPart, sealed_parts
from adapters.tape.reader import is_sealed, list_account_folders, list_run_folders, read_manifest
from adapters.tape.rolling import SEALER_LOCK
from adapters.tape.scan import Found, segment_paths
from adapters.tape.watermark import NAME, Watermark, pack_slots, read_watermark
from adapters.tape.writer import QUARANTINE
from api.backup_manifest import ABOUT, FORMAT, Seen, newest, read_about
from api.verify import check_instruments
from api.version import version
from kernel.errors import ConfigError, NotFound, TapeCorrupt, TapeLocked, TapePoisoned

LATEST = "latest"
PIECE = 1 << 20
PATIENCE_SECONDS = 60.0  # for a seal that is under way


@dataclass
class Made:
    """What a backup holds: `copied` and `linked` are bytes new in it and bytes of the backup before."""

    folder: Path
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    copied: int = 0
    linked: int = 0
    tapes: dict[str, int] = field(default_factory=dict)  # account tape -> last seq in it
    damaged_before: list[str] = field(default_factory=list)  # in words: what is damaged in the backup before


def backup(home: Path, dest: Path, config: Path | None, with_secrets: bool, seen: Seen = lambda count: None) -> Made:
    """Copy a home into a new folder of `dest`; `seen(bytes)` hears of progress.

    Raises ConfigError, TapeCorrupt where the home is not what was written, TapePoisoned on I/O errors.
    """
    home, dest = home.resolve(), dest.resolve()
    if not home.is_dir():
        raise NotFound(f"there is no home at {home}: nothing to back up")
    if dest == home or home in dest.parents or dest in home.parents:
        raise ConfigError(f"{dest} and the home {home} lie in one another: choose a folder elsewhere, on another disk")
    try:
        make_folder(dest)
        lock = take_lock(dest / ".lock")
        try:
            return _Copier(home, dest, seen).run(config, with_secrets)
        finally:
            os.close(lock)
    except OSError as error:
        raise TapePoisoned(f"{dest}: the backup stopped ({error}); the ones before are untouched") from error


class _Copier:
    """One backup on its way: into a `.part` folder, which gets its name once all is durable."""

    def __init__(self, home: Path, dest: Path, seen: Seen) -> None:
        self._home, self._dest, self._seen = home, dest, seen
        self._before = newest(dest)
        now = datetime.now(UTC)
        name = now.strftime("%Y%m%dT%H%M%SZ")
        while (dest / name).exists():  # two within a second
            now = datetime.fromtimestamp(now.timestamp() + 1, UTC)
            name = now.strftime("%Y%m%dT%H%M%SZ")
        self._target = dest / name
        self._part = dest / f".{name}.part"
        self._made = Made(self._target)
        self._known = self._files_before()

    def _files_before(self) -> dict[str, dict[str, Any]]:
        """What the backup before holds; nothing where it cannot say."""
        try:
            return dict(read_about(self._before)["files"]) if self._before else {}
        except TapeCorrupt:
            self._made.damaged_before.append(f"{self._before}/{ABOUT} cannot be read: all was copied again")
            return {}

    def run(self, config: Path | None, with_secrets: bool) -> Made:
        for old in self._dest.glob(".*.part"):
            shutil.rmtree(old)  # of a backup that was killed
        try:
            self._copy_all(config, with_secrets)
            self._finish()
        except BaseException:
            shutil.rmtree(self._part, ignore_errors=True)
            raise
        return self._made

    def _copy_all(self, config: Path | None, with_secrets: bool) -> None:
        """Runs before the market tapes they refer to, all before the instruments: what is referred to is there."""
        for folder in list_account_folders(self._home):
            self._account(folder)
        for folder in filter(is_sealed, list_run_folders(self._home)):
            self._sealed(folder)
        for folder in sorted(tapes_folder(self._home).glob("*")):
            if folder.is_dir() and not folder.name.startswith("."):
                self._sealed(folder)
                check_instruments(self._home, open_tape(folder))
        instruments = self._home / "instruments"
        self._file(instruments / "instruments.json")
        own = ("sessions.toml", "sessions.json", "charges.toml", "universes/*.csv", "fx/*.csv")
        for path in sorted(path for pattern in own for path in instruments.glob(pattern)):
            self._file(path)
        for path in sorted((self._home / "secrets").rglob("*")) if with_secrets else ():
            self._file(path)
        if config is not None:
            self._copy(config, "config/onetape.toml", None)

    # Tapes ------------------------------------------------------------------------------------------------------------

    def _account(self, folder: Path) -> None:
        """Sealed parts, segments up to where the tape ends, and the watermark; beside a writer."""
        sealer = _patiently(folder / SEALER_LOCK)
        try:
            parts = sealed_parts(folder)
            for part in parts:
                self._sealed(part.folder)
            mark, found = _end_of(folder, parts)
            done = parts[-1].segment if parts else 0
            for path in segment_paths(folder):
                number = int(path.stem)
                if done < number < found.segment:
                    self._copy(path, self._name(path), None, immutable=True)
                elif done < number == found.segment and found.offset:
                    self._copy(path, self._name(path), None, length=found.offset)
            self._write(self._name(folder / NAME), pack_slots(mark))
        finally:
            os.close(sealer)
        self._file(folder / "sources.json")
        for path in sorted((folder / QUARANTINE).rglob("*")):
            self._file(path)
        self._read_back(folder, found)
        self._made.tapes[folder.name] = found.anchor.seq

    def _read_back(self, folder: Path, wanted: Found) -> None:
        """That the copy is whole, and all of the tape, is known now, not on the day it is needed."""
        copy = self._part / self._name(folder)
        try:
            found = check_tape(copy)
        except TapeCorrupt as error:
            check_tape(folder)  # it is the home's own damage that was copied: said with the home's names
            raise TapeCorrupt(
                f"no backup was made: {folder} is whole, its copy is not ({error}): see to the disk of {self._dest}"
            ) from None
        if (found.anchor, found.digest.hex()) != (wanted.anchor, wanted.digest.hex()):
            raise TapeCorrupt(
                f"no backup was made: the copy of {folder} ends with seq {found.anchor.seq:,}, the tape with "
                f"{wanted.anchor.seq:,}: run the backup again"
            )

    def _sealed(self, folder: Path) -> None:
        """A folder whose manifest vouches for itself and states every file's hash."""
        is_market = folder.parent == tapes_folder(self._home)
        files = open_tape(folder).files if is_market else read_manifest(folder)["files"]
        for name, stated in sorted(files.items()):
            self._copy(folder / name, self._name(folder / name), str(stated["sha256"]), immutable=True)
        self._file(folder / MANIFEST)

    def _file(self, path: Path) -> None:
        """A small file that may change."""
        if path.is_file():
            self._copy(path, self._name(path), None)

    # Files ------------------------------------------------------------------------------------------------------------

    def _name(self, path: Path) -> str:
        return f"home/{path.relative_to(self._home).as_posix()}"

    def _copy(
        self, source: Path, name: str, stated: str | None, immutable: bool = False, length: int | None = None
    ) -> None:
        """Copy a file, or its first `length` bytes, or link it from the backup before where it never changes.

        The source is read and hashed in any case: a copy that was good once says nothing of the home of now.
        """
        size = source.stat().st_size if length is None else length
        known = self._known.get(name) if immutable else None
        if known is not None and known["bytes"] == size:
            found = sha256_file(source)
            self._refuse_other(source, stated, found)
            if known["sha256"] == found and self._link(name, found):
                self._made.files[name] = known
                self._made.linked += size
                self._seen(size)
                return
        found = self._copy_bytes(source, self._part / name, size)
        self._refuse_other(source, stated, found)
        self._made.files[name] = {"bytes": size, "sha256": found}
        self._made.copied += size

    def _copy_bytes(self, source: Path, target: Path, size: int) -> str:
        """Copy the first `size` bytes, durable; returns their SHA-256."""
        target.parent.mkdir(parents=True, exist_ok=True)
        digest, left = hashlib.sha256(), size
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, source.stat().st_mode & 0o700 | 0o600)
        with source.open("rb") as file, os.fdopen(descriptor, "wb") as out:
            while left and (data := file.read(min(PIECE, left))):
                digest.update(data)
                out.write(data)
                left -= len(data)
                self._seen(len(data))
        if left:
            raise TapeCorrupt(f"{source} is {left:,} bytes shorter than it was: no backup was made; run it again")
        sync_file(target)
        return digest.hexdigest()

    def _refuse_other(self, source: Path, stated: str | None, found: str) -> None:
        if stated and found != stated:
            raise TapeCorrupt(
                f"{source} is not what was sealed, so no backup was made: see `onetape verify`, and restore it from "
                f"{self._before or 'a copy'}"
            )

    def _link(self, name: str, sha256: str) -> bool:
        """Have the file of the backup before in this one; False where that is damaged, or the disk knows no links."""
        assert self._before is not None
        old, new = self._before / name, self._part / name
        if not old.is_file() or sha256_file(old) != sha256:
            self._made.damaged_before.append(f"{old} is not what was backed up then: it was copied again")
            return False
        new.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(old, new)
        except OSError:
            return False
        return True

    def _write(self, name: str, data: bytes) -> None:
        target = self._part / name
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, data)
        self._made.files[name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        self._made.copied += len(data)

    def _finish(self) -> None:
        self._part.mkdir(exist_ok=True)
        about = {
            "format": FORMAT,
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "version": version(),
            "home": str(self._home),
            "tapes": self._made.tapes,
            "files": dict(sorted(self._made.files.items())),
        }
        digest = hashlib.sha256(canonical_json(about)).hexdigest()
        write_whole(self._part / ABOUT, json.dumps(about | {"digest": digest}, indent=1).encode())
        for folder in sorted({path.parent for path in self._part.rglob("*")}, reverse=True):
            sync_folder(folder)
        os.rename(self._part, self._target)
        sync_folder(self._dest)
        _point_to(self._dest, self._target.name)


def _end_of(folder: Path, parts: list[SealedPart]) -> tuple[Watermark, Found]:
    """Where what a tape promises ends: at its watermark while it is written, else with its last whole frame, which may
    be later. Raises TapeCorrupt where sealed parts, segments and watermark disagree."""
    while True:
        mark, found = read_watermark(folder), find_end(folder)
        if read_watermark(folder).epoch == mark.epoch:  # else a writer came, whose frames may be among those found
            break
    if parts and parts[-1].anchor.number > mark.number:
        raise TapeCorrupt(
            f"{folder / NAME} is at frame {mark.number:,}, the sealed parts reach frame {parts[-1].anchor.number:,}: "
            "it was put back to what it was; see `onetape tape repair`"
        )
    return mark, found


def _point_to(dest: Path, name: str) -> None:
    """Let `latest` name the newest backup."""
    temporary = dest / ".latest"
    temporary.unlink(missing_ok=True)
    try:
        temporary.symlink_to(name)
    except OSError:
        return  # a disk without links: the newest by name is taken
    os.replace(temporary, dest / LATEST)
    sync_folder(dest)


def _patiently(path: Path) -> int:
    """A lock that another process may hold for some seconds. Raises TapeLocked."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return take_lock(path)
        except TapeLocked:
            if time.monotonic() > end:
                raise TapeLocked(f"{path.parent} is being sealed or repaired: run the backup again later") from None
            time.sleep(0.1)
