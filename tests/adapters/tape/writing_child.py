"""A process to be killed, and what it writes: frames for ever, each seq printed once it is durable."""

import fcntl
import os
import select
import signal
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np

from adapters.tape.writer import TapeWriter
from tests.adapters.tape.rows import some_rows

WORD = 64  # bytes of what it says: it waits for its reader after 64 words, so that no tape of a round grows large
STOCK = some_rows(200, 7)


@lru_cache(100_000)
def rows_at(seq: int) -> np.ndarray:
    """The same rows whoever makes them; 1 to 7 of them, depending on `seq`."""
    count = 1 + seq % 7
    rows = STOCK[(seq * 13 + np.arange(count)) % len(STOCK)]
    rows["ts_init"] = seq * 2_654_435_761
    rows["seq"] = seq + np.arange(count)
    return rows


def write_for_ever(folder: Path, segment_bytes: int, said: int) -> None:
    tape = TapeWriter(folder, segment_bytes, group_commit_s=0.001)
    while True:
        seq = tape.last_seq + 1
        tape.append(rows_at(seq), {seq: f"note {seq}"} if seq % 5 == 0 else None, durable=seq % 3 > 0)
        tape.tick()
        os.write(said, tape.durable_seq.to_bytes(8, "little") * (WORD // 8))


class Child:
    """A fork of this process that writes; it says what is durable over a pipe."""

    def __init__(self, folder: Path, segment_bytes: int) -> None:
        self._pipe, said = os.pipe()
        fcntl.fcntl(said, fcntl.F_SETPIPE_SZ, 4_096)
        self._process = os.fork()
        if self._process == 0:
            try:
                write_for_ever(folder, segment_bytes, said)
            finally:
                os._exit(1)  # nothing of the test runs twice
        os.close(said)
        self._said = b""

    def wait_for_a_word(self) -> None:
        self._said += os.read(self._pipe, WORD)
        assert self._said, "the child could not write"

    def listen(self) -> None:
        """Take what it said, so that it need not wait."""
        while select.select([self._pipe], [], [], 0)[0]:
            self._said += os.read(self._pipe, 65_536)

    def kill(self) -> int:
        """kill -9; the last seq it said was durable."""
        os.kill(self._process, signal.SIGKILL)
        while part := os.read(self._pipe, 65_536):
            self._said += part
        os.close(self._pipe)
        _, status = os.waitpid(self._process, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL, "it ended by itself"
        return last_said(self._said)


def last_said(said: bytes) -> int:
    whole = len(said) // 8 * 8
    return int.from_bytes(said[whole - 8 : whole], "little")


if __name__ == "__main__":
    write_for_ever(Path(sys.argv[1]), int(sys.argv[2]), 1)
