"""Prove that a market tape is what was written: files, hashes, order, counts, content."""

from pathlib import Path

from adapters.files import sha256_file
from adapters.market.reader import bar_batches, read_actions, tick_batches
from adapters.market.tape import (
    ACTION_COLUMNS,
    ACTIONS,
    AGAIN,
    BAR_COLUMNS,
    BARS,
    MANIFEST,
    STATED_COLUMNS,
    TICK_COLUMNS,
    TICK_FILES,
    BarCount,
    ContentDigest,
    Manifest,
    TickCount,
    open_tape,
    with_ticks,
)
from kernel.errors import TapeCorrupt


def verify_tape(path: Path) -> Manifest:
    """Read every byte of a tape and check it: listed files only, file hashes, order, counts and content
    digest.

    Raises TapeCorrupt naming the file and what is wrong with it.
    """
    manifest = open_tape(path)
    present = {item.name for item in manifest.path.iterdir()} - {MANIFEST}
    for name in sorted(manifest.files.keys() - present):
        raise TapeCorrupt(f"{manifest.path / name} is missing: {AGAIN}")
    for name in sorted(present - manifest.files.keys() - manifest.retired.keys()):
        raise TapeCorrupt(f"{manifest.path / name} does not belong to the tape: move it elsewhere")
    for name, stated in sorted(manifest.files.items()):
        file = manifest.path / name
        if file.stat().st_size != stated["bytes"]:
            raise TapeCorrupt(f"{file} has {file.stat().st_size} bytes, {stated['bytes']} were written: {AGAIN}")
        if sha256_file(file) != stated["sha256"]:
            raise TapeCorrupt(f"{file} holds other bytes than were written (SHA-256 differs): {AGAIN}")
    _verify_content(manifest)
    return manifest


def _verify_content(manifest: Manifest) -> None:
    digest = ContentDigest((i.number, i.symbol) for i in manifest.instruments)
    tally = BarCount()
    for batch in bar_batches(manifest.path):
        if not tally.add(batch):
            raise TapeCorrupt(f"{manifest.path / BARS} is not in order of (ts_init, instrument): {AGAIN}")
        digest.add("bars", BAR_COLUMNS, batch)
    ticks = _verify_ticks(manifest, digest)
    actions = read_actions(manifest.path)
    digest.add("actions", {**ACTION_COLUMNS, **STATED_COLUMNS}, actions)
    if digest.hexdigest() != manifest.content_digest:
        raise TapeCorrupt(f"{manifest.path}: the content digest is not the manifest's: {AGAIN}")
    symbols = {i.number: i.symbol for i in manifest.instruments}
    counted = with_ticks(tally.instruments(symbols), ticks)
    if tally.bars != manifest.bars or not (manifest.retired or counted == manifest.instruments):
        raise TapeCorrupt(f"{manifest.path / MANIFEST} states other bar counts or times than {BARS} holds: {AGAIN}")
    for kind, count in ticks.items():
        if count.ticks != getattr(manifest, kind):
            raise TapeCorrupt(
                f"{manifest.path / MANIFEST} states another number of {kind} than {TICK_FILES[kind]} holds"
            )
    if len(actions["ts_init"]) != manifest.actions:
        raise TapeCorrupt(
            f"{manifest.path / MANIFEST} states {manifest.actions} actions, {ACTIONS} holds another number"
        )


def _verify_ticks(manifest: Manifest, digest: ContentDigest) -> dict[str, TickCount]:
    """Counts by sort; of ticks that were retired, what was kept of them goes into the digest."""
    counts = {}
    for kind, name in TICK_FILES.items():
        if name in manifest.retired:
            digest.add_known(manifest.retired[name]["columns"])
        if name not in manifest.files:
            continue
        counts[kind] = TickCount()
        for batch in tick_batches(manifest.path, kind):
            if not counts[kind].add(batch):
                raise TapeCorrupt(f"{manifest.path / name} is not in order of (ts_init, instrument): {AGAIN}")
            digest.add(kind, TICK_COLUMNS[kind], batch)
    return counts
