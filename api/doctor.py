"""`onetape doctor`: what could cost money or a day, looked at before it does; each finding says how to mend it."""

import ctypes
import os
import re
import shutil
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from adapters.settings import Settings
from kernel.codehash import cache_root
from kernel.jit import COMPILED

OK, WARN, BAD = "ok", "warn", "bad"
MIB = 2**20
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Check:
    """One finding. `mend`: what to do about it, empty when it is ok."""

    what: str
    level: str
    text: str
    mend: str = ""


def examine(home: Path, settings: Settings) -> Iterator[Check]:
    """Every check, in order; nothing is changed."""
    from api.doctor_tapes import tapes

    yield python()
    yield from packages()
    yield compiler()
    yield from home_folder(home)
    yield from secrets(home)
    yield space(home, settings)
    yield file_system(home)
    yield clock()
    yield from tapes(home)


def python() -> Check:
    text = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro} on {sys.platform}"
    if not sys.platform.startswith("linux"):
        return Check("python", WARN, text, "live trading is promised on Linux only; all else works here")
    return Check("python", OK, text)


def packages() -> Iterator[Check]:
    """Installed packages against what pyproject.toml asks for."""
    wrong = []
    wanted = requirements()
    for text in wanted:
        name, bounds = re.fullmatch(r"([\w.-]+)\s*(.*)", text).groups()  # type: ignore[union-attr]
        try:
            found = version(name)
        except PackageNotFoundError:
            wrong.append(f"{name} is missing")
            continue
        if not all(_holds(found, bound) for bound in bounds.split(",") if bound.strip()):
            wrong.append(f"{name} is {found}, wanted {bounds}")
    for text in wrong:
        yield Check("packages", BAD, text, "run ./just, or pip install -e . in the folder of Onetape")
    if not wrong:
        yield Check("packages", OK, f"{len(wanted)} packages as asked for")


def requirements() -> list[str]:
    """The packages Onetape needs, as `name>=1,<2`: from its pyproject.toml, or what was installed with it."""
    path = ROOT / "pyproject.toml"
    if path.is_file():
        return list(tomllib.loads(path.read_text(encoding="utf-8"))["project"]["dependencies"])
    return [text.split(";")[0].strip() for text in requires("onetape") or [] if "extra ==" not in text]


def _holds(found: str, bound: str) -> bool:
    sign, wanted = re.fullmatch(r"\s*(>=|<=|==|!=|<|>|~=)\s*(\S+)\s*", bound).groups()  # type: ignore[union-attr]
    a, b = _numbers(found), _numbers(wanted)
    width = max(len(a), len(b))
    a, b = a + (0,) * (width - len(a)), b + (0,) * (width - len(b))
    return {">=": a >= b, "<=": a <= b, "==": a == b, "!=": a != b, "<": a < b, ">": a > b, "~=": a >= b}[sign]


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text.split("+", maxsplit=1)[0])[:4])


def compiler() -> Check:
    if not COMPILED:
        return Check("compiler", WARN, "ONETAPE_JIT=0: everything runs interpreted", "unset ONETAPE_JIT")
    try:
        root = cache_root()
    except OSError as error:
        return Check("compiler", BAD, str(error), "set ONETAPE_CACHE to a folder that can be written")
    if root.parent == Path(tempfile.gettempdir()):
        return Check("compiler", WARN, f"compiled code goes to {root}", "the user's cache folder cannot be written")
    return Check("compiler", OK, f"compiled code is kept in {root}")


def home_folder(home: Path) -> Iterator[Check]:
    if not home.exists():
        yield Check("home", WARN, f"{home} is not there yet", "`onetape import` makes it, or set ONETAPE_HOME")
    elif not home.is_dir():
        yield Check("home", BAD, f"{home} is a file", "let --home or ONETAPE_HOME name a folder")
    elif unwritable := [p for p in _folders(home) if not os.access(p, os.W_OK | os.X_OK)]:
        yield Check("home", BAD, f"{unwritable[0]} cannot be written", f"chown or chmod it for user {os.getuid()}")
    elif strangers := [p for p in _folders(home) if p.stat().st_mode & 0o002]:
        yield Check("home", WARN, f"anybody may write {strangers[0]}", f"chmod o-w {strangers[0]}")
    else:
        yield Check("home", OK, f"{home} can be written")


def _folders(home: Path) -> list[Path]:
    inside = [home / name for name in ("instruments", "tapes/market", "tapes/accounts", "runs", "views")]
    return [
        home,
        *(path for path in inside if path.is_dir()),
        *(p for p in (home / "tapes/accounts").glob("*") if p.is_dir()),
    ]


def secrets(home: Path) -> Iterator[Check]:
    """Keys may be read by their owner only."""
    files = [path for path in (home / "secrets").rglob("*") if path.is_file()]
    for path in files:
        if path.stat().st_mode & 0o077:
            yield Check("secrets", BAD, f"others can read {path}", f"chmod 600 {path}, and make a new key")
    if files and all(not path.stat().st_mode & 0o077 for path in files):
        yield Check("secrets", OK, f"{len(files)} files that only their owner can read")


def space(home: Path, settings: Settings) -> Check:
    """Free space against the budget of [tape]."""
    limits = [int(getattr(settings.tape, f"space_{name}_mib", default)) for name, default in BUDGET]
    start, warn, reduce = limits
    free = shutil.disk_usage(_existing(home)).free // MIB
    text = f"{free:,} MiB free of which live needs {start:,}"
    mend = "make room: `onetape prune`, `onetape tape seal`, or a larger disk"
    if free < max(start, reduce):
        return Check("space", BAD, text + ": it does not start", mend)
    if free < max(2 * start, warn):
        return Check("space", WARN, text, mend)
    return Check("space", OK, text)


BUDGET = (("start", 1024), ("warn", 640), ("reduce", 192))


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)


FILE_SYSTEMS = {  # f_type of statfs: (name, level, why)
    0x6969: ("nfs", BAD, "a network disk: a sync may be lost and locks may not hold"),
    0xFF534D42: ("cifs", BAD, "a network disk: a sync may be lost and locks may not hold"),
    0xFE534D42: ("smb2", BAD, "a network disk: a sync may be lost and locks may not hold"),
    0x517B: ("smb", BAD, "a network disk: a sync may be lost and locks may not hold"),
    0x01021997: ("9p", BAD, "a disk shared by another system: a sync may be lost"),
    0x65735546: ("fuse", BAD, "a program plays disk: nobody knows what its sync does"),
    0x01021994: ("tmpfs", WARN, "memory: gone with the next restart of the machine"),
    0x794C7630: ("overlay", WARN, "a container's own layer: gone with the container"),
    0x9123683E: ("btrfs", WARN, "copy on write: reserved space may run out all the same, and syncs are slower"),
    0x2FC12FC1: ("zfs", WARN, "copy on write: reserved space may run out all the same"),
    0xEF53: ("ext4", OK, ""),
    0x58465342: ("xfs", OK, ""),
    0xF2F52010: ("f2fs", OK, ""),
}


def file_system(home: Path) -> Check:
    """What kind of disk the home is on, by statfs: live trading needs one whose sync means it."""
    kind = file_system_type(_existing(home))
    if kind is None:
        return Check("disk", WARN, "the kind of file system is not known here", "keep live homes on a local disk")
    name, level, why = FILE_SYSTEMS.get(kind, (f"file system {kind:#x}", WARN, "not one that Onetape was tried on"))
    mend = "" if level == OK else "for live trading, put the home on a local ext4 or xfs disk"
    return Check("disk", level, f"{name}{': ' if why else ''}{why}", mend)


def file_system_type(path: Path) -> int | None:
    """f_type of statfs(2), None where there is none."""
    if not sys.platform.startswith("linux"):
        return None
    buffer = ctypes.create_string_buffer(256)
    if ctypes.CDLL(None, use_errno=True).statfs(os.fsencode(path), buffer) != 0:
        return None
    return int.from_bytes(buffer.raw[: ctypes.sizeof(ctypes.c_long)], sys.byteorder) & 0xFFFFFFFF


def clock(seconds: float = 0.2) -> Check:
    """The wall clock goes as fast as time does, and shows a year that can be."""
    wall, steady = time.time_ns(), time.monotonic_ns()
    time.sleep(seconds)
    drift_ms = ((time.time_ns() - wall) - (time.monotonic_ns() - steady)) / 1e6
    now = datetime.now(UTC)
    text = f"{now:%Y-%m-%d %H:%M:%S} UTC, {drift_ms:+.3f} ms in {seconds} s"
    if not 2024 <= now.year < 2100:
        return Check("clock", BAD, f"{text}: that year cannot be", "set the clock, and keep it with NTP or chrony")
    if abs(drift_ms) > 5:
        return Check("clock", WARN, f"{text}: it is being moved", "wait until NTP or chrony has settled")
    return Check("clock", OK, text)
