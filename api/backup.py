"""`onetape backup` and `restore`: a consistent copy of a home while live runs, and a home made of it again.

    DEST/20240101T093000Z/home/...      the tapes, runs and instruments as they stood
    DEST/20240101T093000Z/config/...    the configuration file
    DEST/20240101T093000Z/backup.json   every file with size and SHA-256
    DEST/latest                         names the newest

Each backup is a whole folder that needs no other. A file that never changes and is in the backup before is linked from
there, not copied again; nothing is ever linked to the home itself.
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
from adapters.market.tape import MANIFEST, tapes_folder
from adapters.tape.parts import sealed_parts, start_of
from adapters.tape.reader import is_sealed, list_account_folders, list_run_folders
from adapters.tape.rolling import SEALER_LOCK
from adapters.tape.scan import examine, segment_paths
from adapters.tape.watermark import NAME, SLOT, Watermark, read_watermark
from adapters.tape.writer import QUARANTINE
from api.backup_manifest import ABOUT, FORMAT, Seen, newest, read_about
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


def backup(home: Path, dest: Path, config: Path | None, with_secrets: bool, seen: Seen = lambda count: None) -> Made:
    """Copy a home into a new folder of `dest`; `seen(bytes)` hears of progress.

    Raises ConfigError, TapeCorrupt where a file is not what its manifest says, TapePoisoned on I/O errors.
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
        self._known: dict[str, dict[str, Any]] = read_about(self._before)["files"] if self._before else {}
        now = datetime.now(UTC)
        name = now.strftime("%Y%m%dT%H%M%SZ")
        while (dest / name).exists():  # two within a second
            now = datetime.fromtimestamp(now.timestamp() + 1, UTC)
            name = now.strftime("%Y%m%dT%H%M%SZ")
        self._target = dest / name
        self._part = dest / f".{name}.part"
        self._made = Made(self._target)

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
        self._file(self._home / "instruments" / "instruments.json")
        for path in sorted((self._home / "secrets").rglob("*")) if with_secrets else ():
            self._file(path)
        if config is not None:
            self._copy(config, "config/onetape.toml", None)

    # Tapes ------------------------------------------------------------------------------------------------------------

    def _account(self, folder: Path) -> None:
        """Sealed parts, closed segments, the open one up to the watermark, and that watermark; beside a writer."""
        sealer = _patiently(folder / SEALER_LOCK)
        try:
            mark, parts = read_watermark(folder), sealed_parts(folder)
            for part in parts:
                self._sealed(part.folder)
            done = parts[-1].segment if parts else 0
            for path in segment_paths(folder):
                number = int(path.stem)
                if done < number < mark.segment:
                    self._copy(path, self._name(path), None, immutable=True)
                elif done < number == mark.segment:
                    self._copy(path, self._name(path), None, length=mark.offset)
            self._mark(folder, mark)
        finally:
            os.close(sealer)
        self._file(folder / "sources.json")
        for path in sorted((folder / QUARANTINE).rglob("*")):
            self._file(path)
        copy = self._part / self._name(folder)
        try:
            examine(copy, mark, start_of(copy))  # that it is whole is known now, not on the day it is needed
        except TapeCorrupt as error:
            raise TapeCorrupt(f"no backup was made: {str(error).replace(str(copy), str(folder))}") from None
        self._made.tapes[folder.name] = mark.seq

    def _mark(self, folder: Path, mark: Watermark) -> None:
        slots = [bytes(SLOT), bytes(SLOT)]
        slots[mark.counter % 2] = mark.pack().ljust(SLOT, b"\0")
        self._write(self._name(folder / NAME), b"".join(slots))

    def _sealed(self, folder: Path) -> None:
        """A folder whose manifest states every file's hash."""
        about = json.loads((folder / MANIFEST).read_bytes())
        for name, stated in sorted(about["files"].items()):
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
        """Copy a file, or its first `length` bytes, or link it from the backup before where it never changes."""
        size = source.stat().st_size if length is None else length
        known = self._known.get(name)
        same = (
            immutable
            and known is not None
            and known["bytes"] == size
            and known["sha256"] == (stated or sha256_file(source))
        )
        if same and known is not None and self._link(name):
            self._made.files[name] = known
            self._made.linked += size
            self._seen(size)
            return
        target = self._part / name
        target.parent.mkdir(parents=True, exist_ok=True)
        digest, left = hashlib.sha256(), size
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, source.stat().st_mode & 0o700 | 0o600)
        with source.open("rb") as file, os.fdopen(descriptor, "wb") as out:
            while left and (data := file.read(min(PIECE, left))):
                digest.update(data)
                out.write(data)
                left -= len(data)
                self._seen(len(data))
        found = digest.hexdigest()
        if left or (stated and found != stated):
            raise TapeCorrupt(
                f"{source} is not what was sealed, so it is not backed up: see `onetape verify`, and restore it from "
                f"{self._before or 'a copy'}"
            )
        sync_file(target)
        self._made.files[name] = {"bytes": size, "sha256": found}
        self._made.copied += size

    def _link(self, name: str) -> bool:
        """Have the file of the backup before in this one; False where the disk knows no links."""
        assert self._before is not None
        old, new = self._before / name, self._part / name
        if not old.is_file() or old.stat().st_size != self._known[name]["bytes"]:
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
