"""What a planted bug is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bug:
    """`old` becomes `new` in a file below adapters/, or of kernel/ where it says so; `tests` are those that should see
    it, the likeliest first."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    more: tuple[tuple[str, str], ...] = ()  # changes of the same file, for a bug that takes several

    compiled: bool = False  # a bug of the kernel that takes more sequences than can be run interpreted

    @property
    def in_kernel(self) -> bool:
        return self.file.startswith("kernel/")
