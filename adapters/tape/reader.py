"""Read a tape, whether it still grows or is sealed. Readers take no lock and see only what is durable."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from adapters.tape import sealed
from adapters.tape.frame import EVENTS, REF, unpack_events
from adapters.tape.layouts import upcast
from adapters.tape.parts import SealedPart, frames_after, part_path, sealed_parts, steadily
from adapters.tape.scan import (
    Anchor,
    Walk,
    damaged,
    is_written,
    mark_in_force,
    segment_path,
    segment_paths,
    written_rest,
)
from adapters.tape.watermark import NAME, Watermark, read_watermark
from kernel.errors import NotFound, TapeCorrupt

__all__ = ["Batch", "Tail", "durable_seq", "is_sealed", "list_account_folders", "list_run_folders", "read_manifest",
           "read_notes", "read_refs", "read_rows"]  # fmt: skip
read_manifest = sealed.read_manifest
Batch = tuple[np.ndarray, dict[int, str]]


def is_sealed(folder: Path) -> bool:
    return (folder / sealed.MANIFEST).is_file()


def list_run_folders(home: Path) -> list[Path]:
    """Run folders of a home, oldest first."""
    return sorted(path for path in (home / "runs").glob("*") if path.is_dir())


def list_account_folders(home: Path) -> list[Path]:
    """Account tapes of a home that hold anything; one that was only opened, or reserved before a crash, does not."""
    return sorted(path for path in (home / "tapes" / "accounts").glob("*") if path.is_dir() and holds_anything(path))


def holds_anything(folder: Path) -> bool:
    """Whether anything was ever appended to the tape in `folder`, as far as its files know."""
    if (folder / "sealed").is_dir() or any(map(is_written, segment_paths(folder))):
        return True
    return (folder / NAME).exists() and read_watermark(folder).number > 0


def read_rows(folder: Path, from_seq: int = 0) -> Iterator[Batch]:
    """(EVENT rows, notes of their seqs) with seq >= from_seq, in order; of a tape that grows, what is durable.

    Raises NotFound, TapeCorrupt.
    """
    if is_sealed(folder):
        schema = int(read_manifest(folder)["schema"])
        for rows, notes in sealed.read_sealed(folder, from_seq):
            yield upcast(rows, schema), notes
    else:
        yield from Tail(folder, from_seq).poll()


def durable_seq(folder: Path) -> int:
    """Last seq of a growing tape that is known to be on disk."""
    return mark_in_force(folder).seq if (folder / NAME).exists() else 0


class Tail:
    """Follow a growing tape from a seq on: each `poll` gives what became durable since the last one.

    It reads up to the watermark and nothing beyond, so it needs no lock and never sees a write under way.
    """

    def __init__(self, folder: Path, from_seq: int = 0) -> None:
        self.folder = folder
        self.next_seq = from_seq
        self._segment, self._offset, self._anchor = 1, 0, Anchor()
        self._mark = Watermark()

    def poll(self) -> Iterator[Batch]:
        """(rows, notes) in order. Raises NotFound where there is no tape, TapeCorrupt where it is damaged."""
        if not (self.folder / NAME).exists() and not segment_paths(self.folder):
            raise NotFound(f"{self.folder}: no tape there")
        mark = mark_in_force(self.folder)
        if mark.number < self._mark.number:
            raise TapeCorrupt(f"{self.folder / NAME} went back: the tape was put back to what it was")
        self._mark = mark
        while self._anchor.number < mark.number:
            path = segment_path(self.folder, self._segment)
            try:
                sealed_now = not path.exists() or (part_path(self.folder, self._segment) / sealed.MANIFEST).is_file()
                yield from self._sealed_part() if sealed_now else self._frames(path, mark)
            except FileNotFoundError:
                continue  # sealed meanwhile: look again

    def _frames(self, path: Path, mark: Watermark) -> Iterator[Batch]:
        is_last = self._segment == mark.segment
        walk = Walk(path, self._anchor, self._offset, mark.offset if is_last else None, self.next_seq)
        for place in walk:
            self._anchor, self._offset = walk.anchor, walk.offset
            if place.header.kind == EVENTS and place.header.last_seq >= self.next_seq:
                yield self._wanted(*unpack_events(place.body), place.header.schema)
        if walk.offset != mark.offset if is_last else written_rest(path, walk.offset):
            raise damaged(path, walk.offset, walk.anchor, "it was on disk when the tape went on")
        if not is_last:
            self._segment, self._offset = self._segment + 1, 0

    def _sealed_part(self) -> Iterator[Batch]:
        folder = part_path(self.folder, self._segment)
        if not folder.is_dir():
            path = segment_path(self.folder, self._segment)
            if path.exists():
                return
            raise damaged(path, 0, self._anchor, f"segment {self._segment} is missing")
        part = SealedPart.read(folder)
        before, anchor = part.before, self._anchor
        follows = self._offset > 0 or (before.number, before.sha) == (anchor.number, anchor.sha)
        if part.segment != self._segment or not follows:
            raise damaged(folder, 0, anchor, "it does not follow: parts were exchanged or put back to what they were")
        if part.anchor.seq >= self.next_seq:
            schema = int(read_manifest(folder)["schema"])
            for rows, notes in sealed.read_sealed(folder, self.next_seq):
                yield self._wanted(rows, notes, schema)
        self._anchor, self._segment, self._offset = part.anchor, self._segment + 1, 0

    def _wanted(self, rows: np.ndarray, notes: dict[int, str], schema: int) -> Batch:
        first = int(np.searchsorted(rows["seq"], self.next_seq))
        if first:
            rows, notes = rows[first:], {seq: text for seq, text in notes.items() if seq >= self.next_seq}
        self.next_seq = int(rows["seq"][-1]) + 1
        return upcast(rows, schema), notes


def read_notes(folder: Path) -> dict[int, str]:
    """All durable notes of a tape by seq; of sealed parts nothing else is read."""
    return sealed.read_all_notes(folder) if is_sealed(folder) else steadily(folder, lambda: _notes_so_far(folder))


def _notes_so_far(folder: Path) -> dict[int, str]:
    notes: dict[int, str] = {}
    parts = sealed_parts(folder)
    for part in parts:
        notes |= sealed.read_all_notes(part.folder)
    for _, texts in read_rows(folder, parts[-1].anchor.seq + 1 if parts else 0):
        notes |= texts
    return notes


def read_refs(folder: Path) -> list[dict[str, Any]]:
    """The REF frames of a tape: which inputs are on which other tapes."""
    if is_sealed(folder):
        return [ref["ref"] for ref in read_manifest(folder)["refs"]]
    return steadily(folder, lambda: _refs_so_far(folder))


def _refs_so_far(folder: Path) -> list[dict[str, Any]]:
    parts = sealed_parts(folder)
    found = [ref["ref"] for part in parts for ref in read_manifest(part.folder)["refs"]]
    return found + [json.loads(bytes(place.body)) for place in frames_after(folder, parts) if place.header.kind == REF]


def config_of(folder: Path) -> dict[str, Any]:
    """The configuration in the first note of a tape, that of its RUN_STARTED. Raises TapeCorrupt."""
    for rows, notes in read_rows(folder):
        if len(rows) and int(rows["seq"][0]) in notes:
            return dict(json.loads(notes[int(rows["seq"][0])]))
        break
    raise TapeCorrupt(f"{folder} does not begin with RUN_STARTED and its configuration")
