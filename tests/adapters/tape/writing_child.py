"""A process to be killed: appends frames for ever and prints each seq once it is durable."""

import os
import sys
from pathlib import Path

from adapters.tape.writer import TapeWriter
from tests.adapters.tape.rows import some_rows


def rows_at(seq: int):
    """The same rows whoever makes them; 1 to 7 of them, depending on `seq`."""
    return some_rows(1 + seq % 7, seed=seq, first_seq=seq)


def main(folder: Path, segment_bytes: int) -> None:
    tape = TapeWriter(folder, segment_bytes, group_commit_s=0.001)
    stock = {}
    while True:
        seq = tape.last_seq + 1
        rows = stock.pop(seq, None)
        if rows is None:
            rows = rows_at(seq)
        durable = seq % 3 > 0
        tape.append(rows, {seq: f"note {seq}"} if seq % 5 == 0 else None, durable)
        tape.tick()
        os.write(1, tape.durable_seq.to_bytes(8, "little"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
