"""Seal a live tape's closed segments beside it: in a process of its own, at the lowest priority, never in its way.

Only frames that are durable and closed are touched, under the sealer's lock, so a crash of either process at any step
leaves the frames or both. What cannot be sealed is tried again with the next segment; trading hears of nothing.
"""

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

from adapters.tape.rolling import seal_closed
from adapters.tape.scan import segment_paths
from adapters.tape.watermark import read_watermark
from kernel.errors import OnetapeError, TapeLocked

PATIENCE_S = 15.0  # how long the end of a session waits for it
LOWEST = 19
ROOT = Path(__file__).resolve().parents[1]
log = logging.getLogger("onetape.live")


class Sealer:
    """Seals the segments that a session has left, one process at a time. Nothing it does raises."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._tried = 0  # the segment being written when it was last tried
        self._warned = False

    def look(self) -> None:
        """Begin where a segment was closed; hear how the one before ended. Cheap: call it once a second."""
        if self._process is not None and self._process.poll() is None:
            return
        self._hear()
        try:
            now = read_watermark(self._folder).segment
            if now > self._tried and self._is_closed_before(now):
                self._begin(now)
        except (OSError, OnetapeError) as error:
            self._warn(str(error))

    def finish(self, patience_s: float = PATIENCE_S) -> None:
        """Seal what was closed meanwhile. What takes longer than the patience goes on alone: that is safe."""
        end = time.monotonic() + patience_s
        self.look()
        while self._process is not None:
            try:
                self._process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.info("%s: its closed segments are still being sealed", self._folder)
                return
            self.look()

    def _is_closed_before(self, segment: int) -> bool:
        return any(int(path.stem) < segment for path in segment_paths(self._folder)[:1])

    def _begin(self, segment: int) -> None:
        self._tried = segment
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "api.sealing", str(self._folder)],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C in the terminal is for the session
        )

    def _hear(self) -> None:
        if self._process is None:
            return
        assert self._process.stderr is not None
        with self._process.stderr as said:
            words = said.read().strip().splitlines()
        code, self._process = self._process.returncode, None
        if code not in (0, TapeLocked.exit_code):  # locked: a backup or another seal is at it
            self._warn(words[-1] if words else f"the process ended with {code}")

    def _warn(self, why: str) -> None:
        if not self._warned:
            log.warning("%s: closed segments stay frames for now (%s): see `onetape tape seal`", self._folder, why)
        self._warned = True


def main(folder: Path) -> int:
    """The process: seal all that is closed; a failure is one line on standard error and an exit code."""
    if hasattr(os, "nice"):
        os.nice(LOWEST)
    try:
        seal_closed(folder)
    except OnetapeError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(error, file=sys.stderr)
        return 74
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
