"""What the tape asks of the file system, as a value: tests record it, crash it at every call, and let it fail."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

if sys.platform != "win32":
    import fcntl


class Disk:
    """The file system. Every method raises OSError; none retries."""

    def open(self, path: Path) -> int:
        """A descriptor to read and write `path`, made when it is not there."""
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def write(self, descriptor: int, parts: Sequence[bytes], offset: int) -> int:
        """Write `parts` one after the other from `offset`; returns the bytes written, which may be fewer."""
        if len(parts) == 1 and hasattr(os, "pwrite"):
            return os.pwrite(descriptor, parts[0], offset)
        if hasattr(os, "pwritev"):
            return os.pwritev(descriptor, parts, offset)
        os.lseek(descriptor, offset, os.SEEK_SET)
        return sum(os.write(descriptor, part) for part in parts)

    def sync(self, descriptor: int) -> None:
        """Make what was written durable, the file's length included, times not."""
        if hasattr(os, "fdatasync"):
            os.fdatasync(descriptor)
        elif sys.platform == "darwin":
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # fsync on macOS stops at the drive's cache
        else:
            os.fsync(descriptor)

    def sync_file(self, path: Path) -> None:
        """Make a file durable that was written and closed, by whatever wrote it."""
        descriptor = os.open(path, os.O_RDWR)
        try:
            self.sync(descriptor)
        finally:
            os.close(descriptor)

    def reserve(self, descriptor: int, length: int) -> None:
        """Give the file `length` bytes, zeros after what is there, and where the system can their blocks, so that
        appending changes no metadata."""
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, length)
        else:
            os.truncate(descriptor, length)

    def truncate(self, descriptor: int, length: int) -> None:
        os.ftruncate(descriptor, length)

    def drop_cached(self, path: Path) -> None:
        """Have the system read a file from the disk again, where it can be asked to."""
        if hasattr(os, "posix_fadvise"):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        """Give the file or folder `old` the name `new`, in the place of a file that had it."""
        os.replace(old, new)

    def remove(self, path: Path) -> None:
        path.unlink()

    def make_folder(self, path: Path) -> None:
        """Create a folder whose parent exists; one that is there is fine."""
        path.mkdir(exist_ok=True)

    def remove_folder(self, path: Path) -> None:
        """Remove a folder with nothing in it."""
        path.rmdir()

    def remove_tree(self, path: Path) -> None:
        """Remove a folder with all that is in it, if it is there."""
        for inner in sorted(path.iterdir()) if path.is_dir() else ():
            if inner.is_dir():
                self.remove_tree(inner)
            else:
                self.remove(inner)
        if path.is_dir():
            self.remove_folder(path)

    def sync_folder(self, path: Path) -> None:
        """Make new, changed and removed names in a folder durable."""
        if sys.platform == "win32":
            return
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

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
