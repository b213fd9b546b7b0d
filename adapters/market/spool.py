"""Columns of a running import, kept in raw files so that memory does not grow with the size of what is
imported."""

from pathlib import Path
from types import TracebackType

import numpy as np

from adapters.market.tape import Columns

WIDTHS: dict[str, str] = {
    "line": "<i8",  # in the source file
    "stamp": "<i8",  # as read; becomes ts_event
    "code": "<i4",  # symbol, in order of appearance
    "span": "<i8",
    "open": "<i8",
    "high": "<i8",
    "low": "<i8",
    "close": "<i8",
    "volume": "<i8",
    "open_interest": "<i8",
    "adj_close": "<f8",  # NaN where there is none
}

TICK_WIDTHS: dict[str, str] = {
    "line": "<i8",
    "stamp": "<i8",
    "code": "<i4",
    "px": "<i8",  # of a trade, or of the bid
    "qty": "<i8",
    "ask_px": "<i8",
    "ask_qty": "<i8",
    "open_interest": "<i8",
}


class Spool:
    """Append rows, look at them as memory maps, and take back the rows after a mark."""

    def __init__(self, folder: Path, widths: dict[str, str] = WIDTHS) -> None:
        self.rows, self.widths = 0, widths
        self._paths = {name: folder / f"{name}.spool" for name in widths}
        self._files = {name: path.open("w+b") for name, path in self._paths.items()}

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for file in self._files.values():
            file.close()
        for path in self._paths.values():
            path.unlink(missing_ok=True)

    def append(self, columns: Columns) -> None:
        count = len(columns["line"])
        for name, width in self.widths.items():
            assert len(columns[name]) == count
            self._files[name].write(np.ascontiguousarray(columns[name], width).data)
        self.rows += count

    def truncate(self, rows: int) -> None:
        """Forget all rows from number `rows` on; no view of them may be alive."""
        for name, width in self.widths.items():
            file, size = self._files[name], rows * np.dtype(width).itemsize
            file.flush()
            file.truncate(size)
            file.seek(size)
        self.rows = rows

    def column(self, name: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Rows start..stop of a column, writable in place; pages come and go as the system needs them."""
        stop = self.rows if stop is None else stop
        self._files[name].flush()
        width = np.dtype(self.widths[name])
        if stop == start:
            return np.zeros(0, width)
        return np.memmap(self._paths[name], width, "r+", start * width.itemsize, (stop - start,))
