"""What the tape asks of the file system, as a value: tests record it, crash it at every call, and let it fail."""

import os
from collections.abc import Sequence
from pathlib import Path

from adapters.files import reserve, sync_data, sync_folder, write_at


class Disk:
    """The file system. Every method raises OSError; none retries."""

    def open(self, path: Path) -> int:
        """A descriptor to read and write `path`, made when it is not there."""
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def write(self, descriptor: int, parts: Sequence[bytes], offset: int) -> int:
        """Write `parts` one after the other from `offset`; returns the bytes written, which may be fewer."""
        return write_at(descriptor, list(parts), offset)

    def sync(self, descriptor: int) -> None:
        """Make what was written durable, the file's length included."""
        sync_data(descriptor)

    def reserve(self, descriptor: int, length: int) -> None:
        """Give the file `length` bytes, zeros after what is there."""
        reserve(descriptor, length)

    def truncate(self, descriptor: int, length: int) -> None:
        os.ftruncate(descriptor, length)

    def rename(self, old: Path, new: Path) -> None:
        """Give `old` the name `new`, in the place of what had it."""
        os.replace(old, new)

    def remove(self, path: Path) -> None:
        path.unlink()

    def make_folder(self, path: Path) -> None:
        """Create a folder whose parent exists; one that is there is fine."""
        path.mkdir(exist_ok=True)

    def sync_folder(self, path: Path) -> None:
        """Make new, changed and removed names in a folder durable."""
        sync_folder(path)

    def write_whole(self, path: Path, data: bytes) -> None:
        """Replace `path` by `data`, all or nothing, durable."""
        temporary = path.with_name(path.name + ".tmp")
        descriptor = self.open(temporary)
        try:
            self.truncate(descriptor, 0)
            written = self.write(descriptor, [data], 0)
            if written != len(data):
                raise OSError(f"wrote {written} of {len(data)} bytes of {temporary}: the disk may be full")
            self.sync(descriptor)
        finally:
            self.close(descriptor)
        self.rename(temporary, path)
        self.sync_folder(path.parent)


DISK = Disk()
