"""`onetape tape show --follow` hears of growth by hints, not by looking every quarter second."""

import threading
import time
from argparse import Namespace

import numpy as np
import pytest

from adapters.bus import hints
from adapters.bus.hints import HintPublisher
from adapters.tape.writer import TapeWriter
from api.commands import tape as command
from api.tapes import ACCOUNT, Tape
from tests.adapters.tape.rows import some_rows


@pytest.mark.sim
def test_show_follows_by_hints(tmp_path, monkeypatch):
    """With looks half a minute apart, what comes at once came by a hint."""
    folder, started, lags = tmp_path / "t", threading.Event(), []
    monkeypatch.setattr(hints, "POLL_S", 30.0)

    def write() -> None:
        started.wait(10)
        time.sleep(0.2)  # until the reader listens
        for seq in range(2, 12):
            rows = some_rows(1, first_seq=seq)
            rows["ts_event"] = time.monotonic_ns()
            tape.append(rows)
            publisher.send(tape.durable_seq)
            time.sleep(0.02)

    with TapeWriter(folder) as tape:
        tape.append(some_rows(1))
        publisher = HintPublisher(folder)
        writer = threading.Thread(target=write)
        writer.start()
        batches = command._batches(Tape(ACCOUNT, "t", folder), Namespace(from_seq=0, follow=True))
        last = 0
        for rows, _ in batches:
            lags += [(time.monotonic_ns() - int(ts)) / 1e6 for ts in rows["ts_event"][rows["seq"] > 1]]
            last = int(rows["seq"][-1])
            started.set()
            if last == 11:
                break
        batches.close()
        writer.join()
        publisher.close()
    assert len(lags) == 10 and np.median(lags) < 100
