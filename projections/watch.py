"""A fold that also says what the account was after every event that changed it.

Figures that hang on marks (`short_hold`, unrealized) are not among them: they change with every bar, and the bars of a
backtest are not on its tape.
"""

from typing import Any

import numpy as np

from kernel.codes import Kind
from kernel.fold import Fold
from kernel.machine import run_at
from kernel.rows import ACCOUNT, PURSE
from kernel.schema import RAW
from kernel.trace import TRACE

OF_PURSE = ("cash", "reserved", "realized", "fees", "dividends", "paid_in")  # of the account's own currency
OF_ACCOUNT = ("open_orders", "trading_state", "kill_level")
WATCHED = (*OF_PURSE, *OF_ACCOUNT)
ACCOUNT_CHANGE = np.dtype([(name, "i8") for name in ("seq", "ts", "ts_init", *WATCHED)])
_PURSE_PLACES = np.array([(PURSE.names or ()).index(name) for name in OF_PURSE])
_ACCOUNT_PLACES = np.array([(ACCOUNT.names or ()).index(name) for name in OF_ACCOUNT])
_MAY_CHANGE = np.ones(256, bool)  # what is not known to leave the account alone may change it
_MAY_CHANGE[
    [
        int(kind)
        for kind in (
            *(Kind.BAR, Kind.QUOTE, Kind.TRADE, Kind.SIGNAL),
            *(Kind.ORDER_DENIED, Kind.EQUITY, Kind.BALANCE, Kind.REGIME_CHANGED),
        )
    ]
] = False


class WatchedFold(Fold):
    """`take_account` hands out, once, the ACCOUNT_CHANGE records of the rows added since it was last called.

    The kernel is called up to each event that may change the account and the account is read there: 1.5 us each, unless
    `watching` is off.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._noted: list[np.ndarray] = []
        self.watching = True

    def add(self, rows: np.ndarray) -> np.ndarray:
        """Fold EVENT rows in and return a TRACE for each fill and settlement among them, in order (a copy)."""
        if not self.watching:
            return super().add(rows)
        size = len(self.state.inputs)
        traces = [self._add_part(rows[start : start + size]) for start in range(0, len(rows), size)]
        return np.concatenate(traces) if traces else np.zeros(0, TRACE)

    def _add_part(self, part: np.ndarray) -> np.ndarray:
        tables, traces = int(self._tables.ctypes.data), int(self._traces.ctypes.data)
        account, purse = self.state.account.view(np.int64), self.state.purses[:1].view(np.int64)
        self.state.inputs.view(RAW)[: len(part)] = np.ascontiguousarray(part).view(RAW)
        places = np.flatnonzero(_MAY_CHANGE[part["kind"]])
        after = np.zeros((len(places) + 1, len(WATCHED)), np.int64)
        of_purse, of_account = after[:, : len(OF_PURSE)], after[:, len(OF_PURSE) :]
        is_first = int(account[0]) == 0
        of_purse[0], of_account[0] = purse[_PURSE_PLACES], account[_ACCOUNT_PLACES]
        start = filled = 0
        for k, place in enumerate(places.tolist(), 1):
            filled += run_at(tables, start, place + 1 - start, traces + filled * TRACE.itemsize)
            of_purse[k], of_account[k] = purse[_PURSE_PLACES], account[_ACCOUNT_PLACES]
            start = place + 1
        filled += run_at(tables, start, len(part) - start, traces + filled * TRACE.itemsize)
        changed = (after[1:] != after[:-1]).any(axis=1)
        if is_first and len(changed):
            changed[0] = True  # what it opened with
        self._note(part[places[changed]], after[1:][changed])
        return self._traces[:filled].copy()

    def _note(self, rows: np.ndarray, values: np.ndarray) -> None:
        changes = np.zeros(len(rows), ACCOUNT_CHANGE)
        changes["seq"], changes["ts"], changes["ts_init"] = rows["seq"], rows["ts_event"], rows["ts_init"]
        for name, column in zip(WATCHED, values.T, strict=True):
            changes[name] = column
        self._noted.append(changes)

    def take_account(self) -> np.ndarray:
        """The changes noted since the last call, in seq order."""
        noted, self._noted = self._noted, []
        return np.concatenate([np.zeros(0, ACCOUNT_CHANGE), *noted])
