"""A hint that a tape grew, so that readers of other processes need not poll. Lost hints cost a quarter of a second.

One ZeroMQ socket a tape, in a folder that only this user may enter; no network, and nothing is believed: who hears a
hint looks at the tape's watermark.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.tape.reader import Batch, Tail
from kernel.errors import ConfigError

if TYPE_CHECKING:
    import threading

POLL_S = 0.25  # how often a reader looks when no hint comes


def socket_path(folder: Path) -> Path:
    """Where the hints of the tape in `folder` are; short, since the system allows some hundred characters."""
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"onetape-{os.getuid()}"
    base.mkdir(mode=0o700, exist_ok=True)
    if base.stat().st_uid != os.getuid() or base.stat().st_mode & 0o077:
        raise ConfigError(f"{base} is not this user's alone: others could listen or speak there; remove it")
    return base / f"{hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:24]}.hints"


class HintPublisher:
    """The writer's end. `send` never blocks and never fails: a hint that nobody takes is dropped."""

    def __init__(self, folder: Path) -> None:
        import zmq

        self._socket: Any = zmq.Context.instance().socket(zmq.PUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.SNDHWM, 8)
        self._path = socket_path(folder)
        self._socket.bind(f"ipc://{self._path}")

    def send(self, durable_seq: int) -> None:
        import zmq

        self._socket.send(durable_seq.to_bytes(8, "little"), zmq.NOBLOCK)

    def close(self) -> None:
        self._socket.close()
        self._path.unlink(missing_ok=True)


class HintSubscriber:
    """A reader's end: `wait` returns at a hint, or after `seconds`."""

    def __init__(self, folder: Path) -> None:
        import zmq

        self._socket: Any = zmq.Context.instance().socket(zmq.SUB)
        self._socket.setsockopt(zmq.CONFLATE, 1)
        self._socket.setsockopt(zmq.SUBSCRIBE, b"")
        self._socket.connect(f"ipc://{socket_path(folder)}")

    def wait(self, seconds: float = POLL_S) -> bool:
        """Whether a hint came."""
        if not self._socket.poll(int(seconds * 1_000)):
            return False
        self._socket.recv()
        return True

    def close(self) -> None:
        self._socket.close(0)


def follow(folder: Path, from_seq: int, stop: "threading.Event") -> Iterator[Batch]:
    """What is durable from `from_seq` on, then what becomes so, until `stop` is set."""
    tail, hints = Tail(folder, from_seq), HintSubscriber(folder)
    try:
        while not stop.is_set():
            yield from tail.poll()
            hints.wait()
    finally:
        hints.close()
