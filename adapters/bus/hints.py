"""A hint that a tape grew, so that readers of other processes need not poll. Lost hints cost a quarter of a second.

One ZeroMQ socket a tape, in a folder that only this user may enter; no network, and nothing is believed: who hears a
hint looks at the tape's watermark.
"""

import hashlib
import os
import secrets
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.tape.reader import Batch, Tail
from kernel.errors import ConfigError

if TYPE_CHECKING:
    import threading

POLL_S = 0.25  # how often a reader looks when no hint comes


def socket_path(folder: Path) -> Path:
    """Where the hints of the tape in `folder` are; short, since the system allows some hundred characters.

    Raises ConfigError, OSError.
    """
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"onetape-{os.getuid()}"
    base.mkdir(mode=0o700, exist_ok=True)
    if base.stat().st_uid != os.getuid() or base.stat().st_mode & 0o077:
        raise ConfigError(f"{base} is not this user's alone: others could listen or speak there; remove it")
    return base / f"{hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:24]}.hints"


class HintPublisher:
    """The writer's end. `send` never blocks and never fails: a hint that nobody takes is dropped.

    The socket gets its name once it listens, in the place of that of a writer before; ZeroMQ, which takes away by name
    what it bound, then cannot take away the socket of the next writer. Raises ConfigError, OSError.
    """

    def __init__(self, folder: Path) -> None:
        import zmq

        self._path = socket_path(folder)
        bound = self._path.with_name(f"{self._path.stem}.{secrets.token_hex(3)}")
        self._socket: Any = zmq.Context.instance().socket(zmq.PUB)
        try:
            self._socket.setsockopt(zmq.LINGER, 0)
            self._socket.setsockopt(zmq.SNDHWM, 8)
            self._socket.bind(f"ipc://{bound}")
            os.replace(bound, self._path)
            self._place = _place_of(self._path)
        except zmq.ZMQError as error:
            self._socket.close()
            raise OSError(error.errno, str(error)) from error
        except OSError:
            self._socket.close()
            raise

    def send(self, durable_seq: int) -> None:
        import zmq

        try:
            self._socket.send(durable_seq.to_bytes(8, "little"), zmq.NOBLOCK)
        except zmq.ZMQError:
            return  # readers look by themselves

    def close(self) -> None:
        """Stop, and take the socket away unless another writer has put its own there."""
        self._socket.close()
        if _place_of(self._path) == self._place:
            self._path.unlink(missing_ok=True)


def _place_of(path: Path) -> tuple[int, int] | None:
    """Which file that is; None when there is none of that name."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class HintSubscriber:
    """A reader's end: `wait` returns at a hint, or after `seconds`. Raises ConfigError, OSError."""

    def __init__(self, folder: Path) -> None:
        import zmq

        self.socket: Any = zmq.Context.instance().socket(zmq.SUB)
        try:
            self.socket.setsockopt(zmq.CONFLATE, 1)
            self.socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1_000)  # ms; most tapes have no writer most of the time
            self.socket.setsockopt(zmq.SUBSCRIBE, b"")
            self.socket.connect(f"ipc://{socket_path(folder)}")
        except zmq.ZMQError as error:
            self.socket.close(0)
            raise OSError(error.errno, str(error)) from error
        except (ConfigError, OSError):
            self.socket.close(0)
            raise

    def wait(self, seconds: float = POLL_S) -> bool:
        """Whether a hint came."""
        if not self.socket.poll(int(seconds * 1_000)):
            return False
        self.socket.recv()
        return True

    def close(self) -> None:
        self.socket.close(0)


class HintListener:
    """A reader of many tapes: `wait` returns at the first hints, or after `seconds`, with the tapes they are of.

    A tape whose hints cannot be heard is left out: who reads looks by itself, too. One thread uses it.
    """

    def __init__(self) -> None:
        self._heard: dict[Path, HintSubscriber] = {}

    def listen(self, folders: Collection[Path]) -> None:
        """To the tapes in `folders` from now on, and to no others."""
        for folder in self._heard.keys() - set(folders):
            self._heard.pop(folder).close()
        for folder in folders:
            if folder not in self._heard:
                with suppress(ConfigError, OSError):
                    self._heard[folder] = HintSubscriber(folder)

    def wait(self, seconds: float) -> list[Path]:
        if not self._heard:
            time.sleep(seconds)
            return []
        import zmq

        poller = zmq.Poller()
        for hints in self._heard.values():
            poller.register(hints.socket, zmq.POLLIN)
        found = dict(poller.poll(int(seconds * 1_000)))
        hinted = [folder for folder, hints in self._heard.items() if hints.socket in found]
        for folder in hinted:
            self._heard[folder].socket.recv()
        return hinted

    def close(self) -> None:
        self.listen(())


class _NoHints:
    """Where there can be no socket: a reader that looks by itself."""

    def wait(self, seconds: float = POLL_S) -> bool:
        time.sleep(seconds)
        return False

    def close(self) -> None:
        pass


def follow(folder: Path, from_seq: int, stop: "threading.Event") -> Iterator[Batch]:
    """What is durable from `from_seq` on, then what becomes so, until `stop` is set."""
    hints: HintSubscriber | _NoHints
    try:
        hints = HintSubscriber(folder)
    except (ConfigError, OSError):
        hints = _NoHints()
    tail = Tail(folder, from_seq)
    try:
        while not stop.is_set():
            yield from tail.poll()
            hints.wait(POLL_S)
    finally:
        hints.close()
