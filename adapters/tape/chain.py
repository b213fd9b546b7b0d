"""Follow a damaged tape frame by frame, with a copy of it in the other hand, and plan how it can be mended.

The header chain decides: a frame or sealed part of the copy counts only when it follows the very frame before it, and
it is taken only where ours is not whole and something later was promised. Nothing is changed here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.tape.behind import last_seq, numbers_in, promise_of, slots_of, stray_bytes
from adapters.tape.check import PartChecker, foreign_paths
from adapters.tape.frame import HEADER_BYTES, unpack_header
from adapters.tape.parts import SEALED, SealedPart, part_path
from adapters.tape.scan import Anchor, Place, Walk, check_frame, is_written, segment_path, written_rest
from adapters.tape.watermark import NAME, Watermark
from kernel.errors import TapeCorrupt

Range = tuple[int, int]


@dataclass(frozen=True)
class Restored:
    """Bytes that a copy gives back: `ranges` (from, to) of a segment, or None for all of a segment or sealed part."""

    source: Path
    target: Path
    ranges: tuple[Range, ...] | None
    seqs: tuple[int, int]
    end: int = 0  # of a whole segment: where its last frame ends
    seal: bool = False  # frames in the place of a sealed part: to be sealed again


@dataclass
class Plan:
    """What is wrong with a tape, what can be done about it, and which seqs nothing can bring back."""

    folder: Path
    wrong: list[str] = field(default_factory=list)
    restored: list[Restored] = field(default_factory=list)
    aside: list[tuple[Path, int]] = field(default_factory=list)  # what moves into quarantine, from which byte on
    watermark: Watermark | None = None  # to be written anew
    kept_seq: int = 0  # the tape holds 1 to this afterwards
    lost: tuple[int, int] | None = None

    @property
    def sound(self) -> bool:
        return not (self.restored or self.aside or self.watermark)

    def complain(self, text: str) -> None:
        if text not in self.wrong:
            self.wrong.append(text)


class Planner:
    """Goes over the sealed parts, then the frames, as far as tape and copy reach; `plan` says the rest."""

    def __init__(self, folder: Path, copy: Path | None = None) -> None:
        self._folder, self._copy, self._plan = folder, copy, Plan(folder)
        self._state = PartChecker()  # tape digest and rows so far
        self._anchor, self._epoch = Anchor(), 0
        self._segment = self._offset = 0  # where the last frame ended
        self._slots = slots_of(folder)
        self._marks = {slot.number: slot for slot in self._slots if slot}
        self._met: dict[int, tuple[bytes, int, int]] = {}  # of the frames the slots name: header hash, segment, end
        self._promised = max(self._marks, default=0)

    def plan(self) -> Plan:
        for path in foreign_paths(self._folder):
            self._plan.complain(f"{path} is no part of the tape")
            self._plan.aside.append((path, 0))
        number = 1
        while self._over_sealed(number):
            number += 1
        while self._over_frames(number):
            number += 1
        if self._promised_beyond(self._segment, self._offset):
            self._give_up_the_rest()
        self._mark()
        self._plan.kept_seq = self._anchor.seq
        return self._plan

    # Sealed parts -----------------------------------------------------------------------------------------------------

    def _over_sealed(self, number: int) -> bool:
        """Go on over a sealed segment; False when the sealed ones end before it."""
        here = part_path(self._folder, number)
        if number > max(numbers_in(here.parent), default=0):
            return False
        before = self._place()
        try:
            if not here.is_dir():
                raise TapeCorrupt(f"{here} is missing")
            self._follow(here)
        except TapeCorrupt as error:
            self._plan.complain(str(error))
            return self._replace_part(number)
        if self._is_short(number):
            self._replace_short(number, before)
        return True

    def _place(self) -> Any:
        """All that says how far the tape was followed, to come back to."""
        return self._state.copy(), self._anchor, self._epoch, self._segment, self._offset

    def _go_to(self, place: Any) -> None:
        self._state, self._anchor, self._epoch, self._segment, self._offset = place

    def _is_short(self, number: int) -> bool:
        """Whether frames are missing at the end of a sealed part that is whole in itself, by what lies behind it."""
        following = part_path(self._folder, number + 1)
        if following.is_dir():
            try:
                return SealedPart.read(following).before.number > self._anchor.number
            except TapeCorrupt:
                return False
        return self._promised_beyond(number, 0) and not self._goes_on_in(number + 1)

    def _replace_short(self, number: int, before: Any) -> None:
        """Take a sealed part from the copy where that has more of it; go on from ours where it has not."""
        short, plan = self._place(), self._plan
        kept = len(plan.restored), len(plan.aside), len(plan.wrong)
        self._go_to(before)
        if self._replace_part(number) and self._anchor.number > short[1].number:
            plan.complain(
                f"{part_path(self._folder, number)} ends with seq {short[1].seq:,}, and the tape went on there"
            )
            return
        del plan.restored[kept[0] :], plan.aside[kept[1] :], plan.wrong[kept[2] :]
        self._go_to(short)

    def _follow(self, path: Path) -> None:
        part = SealedPart.read(path)
        if (part.before.number, part.before.sha) != (self._anchor.number, self._anchor.sha):
            raise TapeCorrupt(f"{path} does not follow frame {self._anchor.number}, seq {self._anchor.seq}")
        self._state.add(part)
        self._anchor, self._segment, self._offset = part.anchor, part.segment, 0

    def _replace_part(self, number: int) -> bool:
        """Sealed segment `number` from the copy, sealed there or still frames; or from frames that were left here."""
        here, first = part_path(self._folder, number), self._anchor.seq + 1
        aside = [(here, 0)] if here.exists() else []
        there = part_path(self._copy, number) if self._copy else None
        if there is not None and there.is_dir():
            try:
                self._follow(there)
                self._plan.aside += aside
                self._plan.restored.append(Restored(there, here, None, (first, self._anchor.seq)))
                return True
            except TapeCorrupt as error:
                self._plan.complain(f"the copy cannot help: {error}")
        frames = [segment_path(folder, number) for folder in (self._folder, self._copy) if folder]
        for source in [path for path in frames if path.exists() and self._state.hole is None]:
            offset = max((place.end for place in self._walk(source, 0)), default=0)
            if offset:
                self._segment, self._offset = number, 0
                self._plan.aside += aside
                self._plan.restored.append(
                    Restored(source, frames[0], None, (first, self._anchor.seq), offset, seal=True)
                )
                return True
        return False

    # Frames -----------------------------------------------------------------------------------------------------------

    def _over_frames(self, number: int) -> bool:
        """Go on over a segment of frames, ours where they are whole; False when the tape ends in it or before it."""
        here = segment_path(self._folder, number)
        ours = here if here.exists() and is_written(here) else None
        there = segment_path(self._copy, number) if self._copy else None
        copy = there if there is not None and there.exists() else None
        if ours is None and not self._promised_beyond(number - 1, self._offset):
            return False
        if ours is None and self._offset == 0 and self._copy and part_path(self._copy, number).is_dir():
            return self._replace_part(number)
        first = last = offset = 0
        ranges: list[Range] = []
        while True:
            for place in self._walk(ours, offset) if ours else ():
                offset = place.end
            if (offset and self._goes_on_in(number + 1)) or not self._promised_beyond(number, offset):
                break
            start = offset
            first = first if ranges else self._anchor.seq + 1
            self._plan.complain(
                f"{here} at byte {offset}: the frame of seq {self._anchor.seq + 1} on is damaged or missing"
            )
            for place in self._walk(copy, offset) if copy else ():
                offset = place.end
                if ours and self._follows(ours, offset):
                    break
            if offset == start:
                break
            ranges.append((start, offset))
            last = self._anchor.seq
        if offset == 0:
            return False
        self._end_segment()
        self._segment, self._offset = number, offset
        if ranges and copy:
            part = tuple(_joined(ranges)) if ours else None
            self._plan.restored.append(Restored(copy, here, part, (first, last), offset))
        return True

    def _end_segment(self) -> None:
        """The tape goes on in a later segment: what else is in the one before is no part of it."""
        path = segment_path(self._folder, self._segment)
        if self._offset and path.exists() and written_rest(path, self._offset):
            self._plan.complain(f"{path} at byte {self._offset}: bytes follow the last frame that are none")
            self._plan.aside.append((path, self._offset))

    def _walk(self, path: Path, offset: int) -> Iterator[Place]:
        """The frames from `offset` on that are whole and follow, each taken into account as it comes."""
        if self._state.hole is not None:
            self._plan.complain(f"{path}: its rows cannot be checked, since ticks right before them were retired")
            return
        try:
            for place in Walk(path, self._anchor, offset):
                digest = self._state.digest.copy()
                self._epoch, self._state.rows = check_frame(place, self._epoch, digest, self._state.rows)
                self._state.digest, self._anchor = digest, Anchor.of(place.header)
                self._promised = max(self._promised, place.header.durable)
                if self._anchor.number in self._marks:
                    self._met[self._anchor.number] = self._anchor.sha, int(path.stem), place.end
                yield place
        except TapeCorrupt as error:
            if path.parent == self._folder:
                self._plan.complain(str(error))

    def _follows(self, path: Path, offset: int) -> bool:
        """Whether a frame that follows the last one seems to begin at `offset`."""
        with path.open("rb") as file:
            file.seek(offset)
            header = unpack_header(file.read(HEADER_BYTES))
        return header is not None and (header.number - 1, header.previous) == (self._anchor.number, self._anchor.sha)

    def _goes_on_in(self, number: int) -> bool:
        path = segment_path(self._folder, number)
        return path.exists() and self._follows(path, 0)

    # The end ----------------------------------------------------------------------------------------------------------

    def _promised_beyond(self, segment: int, offset: int) -> bool:
        """Whether more was promised than the frames up to here: by the watermark, or by anything that lies behind."""
        if self._promised <= self._anchor.number:
            for path, start in self._behind(segment, offset):
                self._promised = max(self._promised, promise_of(path, start))
        return self._promised > self._anchor.number

    def _behind(self, segment: int, offset: int) -> list[tuple[Path, int]]:
        """What of ours lies behind a place: the rest of its segment, later segments, later sealed parts."""
        rest = segment_path(self._folder, segment)
        found = [(rest, offset)] if offset and rest.exists() and written_rest(rest, offset) else []
        later = [segment_path(self._folder, n) for n in numbers_in(self._folder) if n > segment]
        parts = [part_path(self._folder, n) for n in numbers_in(self._folder / SEALED) if n > segment]
        return found + [(path, 0) for path in [*parts, *filter(is_written, later)]]

    def _give_up_the_rest(self) -> None:
        known = {path for path, _ in self._plan.aside}
        behind = [(path, start) for path, start in self._behind(self._segment, self._offset) if path not in known]
        self._plan.aside += behind
        seqs = [slot.seq for slot in self._marks.values()] + [last_seq(path, start) for path, start in behind]
        self._plan.lost = (self._anchor.seq + 1, max([self._anchor.seq + 1, *seqs]))
        self._plan.complain(f"nothing holds seq {self._anchor.seq + 1} and what follows it")

    def _speaks_of_what_is_here(self, newest: Watermark) -> bool:
        """Whether the frame it names ends where it says, or in a segment before one that is to be begun."""
        sha, segment, end = self._met.get(newest.number, (newest.sha, newest.segment, newest.offset))
        place = (newest.segment, newest.offset)
        return sha == newest.sha and (place == (segment, end) or (newest.offset == 0 and newest.segment > segment))

    def _mark(self) -> None:
        """Have the watermark written anew when it does not say what is there."""
        newest = max(self._marks.values(), key=lambda slot: slot.counter, default=Watermark())
        text, number = "", self._anchor.number
        if None in self._slots:
            text = "has a damaged slot"
        elif not self._slots:
            text = "is missing" if number else ""
        elif stray := stray_bytes(self._folder):
            text = f"has {stray} bytes behind its slots"
        elif newest.number > number:
            text = f"is at frame {newest.number:,}, and {number:,} are left"
        elif newest.epoch < self._epoch:
            text = f"is of writer {newest.epoch}, the last frame of writer {self._epoch}"
        elif not self._speaks_of_what_is_here(newest):
            text = f"does not speak of the frame {newest.number:,} that is here"
        elif newest.number < number:
            text = f"is {number - newest.number:,} frames behind, as after a kill"
        if text:
            self._plan.complain(f"{self._folder / NAME} {text}")
            epoch = max([self._epoch, *(slot.epoch for slot in self._marks.values())])
            self._plan.watermark = Watermark(
                newest.counter + 1, epoch, number, self._anchor.seq, self._segment, self._offset, self._state.rows,
                self._anchor.sha,
            )  # fmt: skip


def _joined(ranges: list[Range]) -> Iterator[Range]:
    """The same ranges with neighbours made one."""
    start, end = ranges[0]
    for low, high in ranges[1:]:
        if low != end:
            yield start, end
            start = low
        end = high
    yield start, end
