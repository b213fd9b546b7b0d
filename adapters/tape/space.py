"""Room on the disk: how much there is, what that means for trading, and the ballast that is given up when it ends."""

import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from adapters.files import reserve, sync_data, sync_folder
from adapters.tape.writer import BALLAST

MIB = 2**20


class Room(Enum):
    """PLENTY: all is well. LITTLE: say so. SCARCE: only orders that reduce risk."""

    PLENTY = 0
    LITTLE = 1
    SCARCE = 2


@dataclass(frozen=True)
class SpaceBudget:
    """MiB that must be free on the disk of a tape."""

    start_mib: int = 1024
    warn_mib: int = 640
    reduce_mib: int = 192
    ballast_mib: int = 64


class SpaceGuard:
    """Looks at the disk of `folder`. Owns its ballast: a file whose room is for the last events of a full disk."""

    def __init__(self, folder: Path, budget: SpaceBudget) -> None:
        self.folder, self.budget = folder, budget

    def free_mib(self) -> int:
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize // MIB

    def look(self) -> Room:
        free = self.free_mib()
        if free < self.budget.reduce_mib or (self.budget.ballast_mib and not (self.folder / BALLAST).exists()):
            return Room.SCARCE
        return Room.LITTLE if free < self.budget.warn_mib else Room.PLENTY

    def put_ballast(self) -> None:
        """Reserve the ballast where there is room for it and all else."""
        path, size = self.folder / BALLAST, self.budget.ballast_mib * MIB
        if size == 0 or (path.exists() and path.stat().st_size == size):
            return
        if self.free_mib() < self.budget.reduce_mib + self.budget.ballast_mib:
            return
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            reserve(descriptor, size)
            sync_data(descriptor)
        finally:
            os.close(descriptor)
        sync_folder(self.folder)
