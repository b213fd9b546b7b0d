"""Hints between processes: a reader hears of growth within milliseconds, and without hints within a quarter second."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from adapters.bus import hints
from adapters.bus.hints import HintPublisher, HintSubscriber, follow, socket_path
from adapters.tape.writer import TapeWriter
from kernel.errors import ConfigError
from tests.adapters.tape.rows import gather, same, some_rows

ROOT = Path(__file__).parents[3]
WRITER = """
import sys, time
from pathlib import Path
from adapters.bus.hints import HintPublisher
from adapters.tape.writer import TapeWriter
from kernel.errors import ConfigError
from tests.adapters.tape.rows import some_rows
folder, hinted = Path(sys.argv[1]), sys.argv[2] == "hints"
with TapeWriter(folder) as tape:
    tape.append(some_rows(1))
    publisher = HintPublisher(folder)
    print("ready", flush=True)
    sys.stdin.readline()
    for k in range(int(sys.argv[3])):
        rows = some_rows(1, first_seq=k + 2)
        rows["ts_event"] = time.monotonic_ns()
        tape.append(rows)
        if hinted:
            publisher.send(tape.durable_seq)
        time.sleep(0.02 if hinted else 0.4)
    publisher.close()
"""


def lags_ms(folder: Path, how: str, count: int) -> list[float]:
    """How long each of `count` events takes from the moment before its append in one process to the reader here."""
    command = [sys.executable, "-c", WRITER, str(folder), how, str(count)]
    child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ready\n"
    stop, lags, last = threading.Event(), [], 0
    give_up = time.monotonic() + 30
    for rows, _ in follow(folder, 1, stop):
        now = time.monotonic_ns()
        if last == 0:  # the first event was there before: now the reader listens
            time.sleep(0.1)
            child.stdin.write("go\n")
            child.stdin.flush()
        assert rows["seq"].tolist() == list(range(last + 1, last + 1 + len(rows)))
        lags += [(now - int(ts)) / 1e6 for ts in rows["ts_event"][rows["seq"] > 1]]
        last = int(rows["seq"][-1])
        if last == count + 1 or time.monotonic() > give_up:
            stop.set()
    child.stdin.close()
    child.stdout.close()
    assert child.wait(10) == 0 and last == count + 1
    return lags


@pytest.mark.sim
def test_a_hint_is_sooner_than_a_poll(tmp_path):
    """Figures are for `./just bench`; here only that hints are heard at all: far below the 250 ms of a poll."""
    assert np.median(lags_ms(tmp_path / "t", "hints", 15)) < 100


@pytest.mark.sim
def test_without_hints_a_reader_looks_by_itself(tmp_path):
    lags = lags_ms(tmp_path / "t", "silent", 3)
    assert max(lags) < 5_000 and np.median(lags) < 600


def test_nobody_listens_and_nothing_is_lost(tmp_path):
    folder, rows = tmp_path / "t", some_rows(40)
    publisher = HintPublisher(folder)
    with TapeWriter(folder) as tape:
        for k in range(0, 40, 2):
            tape.append(rows[k : k + 2])
            publisher.send(tape.durable_seq)  # more than its queue holds
    stop = threading.Event()
    stream = follow(folder, 1, stop)
    first, _ = next(stream)
    subscriber = HintSubscriber(folder)
    assert not subscriber.wait(0.05)
    subscriber.close()
    stop.set()
    assert same(first, rows[: len(first)])
    got, _ = gather(stream)
    assert same(np.concatenate([first.view("V128"), got.view("V128")]), rows.view("V128"))
    publisher.close()
    assert not socket_path(folder).exists()


def test_the_folder_of_sockets_is_this_users_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    path = socket_path(tmp_path / "t")
    assert path.parent.stat().st_mode & 0o777 == 0o700
    path.parent.chmod(0o755)
    with pytest.raises(ConfigError, match="not this user's alone"):
        socket_path(tmp_path / "t")
    assert hints.POLL_S <= 0.25


def test_a_stale_writer_leaves_its_successors_socket_alone(tmp_path):
    folder = tmp_path / "t"
    with TapeWriter(folder) as tape:
        tape.append(some_rows(2))
    stale, successor = HintPublisher(folder), HintPublisher(folder)
    stale.close()
    time.sleep(0.1)  # ZeroMQ closes in a thread of its own
    assert socket_path(folder).exists()
    subscriber = HintSubscriber(folder)
    heard = []
    for _ in range(100):  # it connects in a thread of its own, too
        successor.send(2)
        heard.append(subscriber.wait(0.05))
        if heard[-1]:
            break
    subscriber.close()
    successor.close()
    assert heard[-1] and not socket_path(folder).exists()
    assert [
        path for path in socket_path(folder).parent.iterdir() if path.name.startswith(socket_path(folder).stem)
    ] == []


def test_a_writer_that_cannot_bind_says_an_os_error(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / ("long" * 40)))
    (tmp_path / ("long" * 40)).mkdir()
    with pytest.raises(OSError, match="longer than"):
        HintPublisher(tmp_path / "t")


def test_a_reader_that_cannot_listen_looks_by_itself(tmp_path, monkeypatch):
    folder = tmp_path / "t"
    with TapeWriter(folder) as tape:
        tape.append(some_rows(2))
    (tmp_path / f"onetape-{hints.os.getuid()}").mkdir(mode=0o755)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(hints, "POLL_S", 0.01)
    stop = threading.Event()
    stream = follow(folder, 1, stop)
    assert next(stream)[0]["seq"].tolist() == [1, 2]
    with TapeWriter(folder) as tape:
        tape.append(some_rows(1, first_seq=3))
    assert next(stream)[0]["seq"].tolist() == [3]
