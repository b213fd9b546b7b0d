"""Where a paper account goes on in a feed of ticks: after the last it took, by place, for many may have one time."""

from pathlib import Path

import numpy as np

from adapters.tape.reader import read_rows
from api.bootstrap import LAST_MARKET
from kernel.codes import Origin
from kernel.engine import Engine
from kernel.errors import NotReplayable
from kernel.ports import Feed
from kernel.schema import BODY_OFFSET, join_rows

EXTERNAL = int(Origin.EXTERNAL)
SAID = ("ts_event", "ts_init", "instrument", "kind")  # what must be alike, beside the body


def taken_at(folder: Path, last_seq: int, ts: int) -> np.ndarray:
    """The bars and ticks that an account tape recorded at `ts`, its last time, as they came."""
    back = 1_024
    while True:
        first = max(1, last_seq - back)
        rows = join_rows([rows for rows, _ in read_rows(folder, first)])
        if first == 1 or int(rows["ts_init"][0]) < ts:
            return rows[(rows["ts_init"] == ts) & (rows["kind"] <= LAST_MARKET) & (rows["origin"] == EXTERNAL)]
        back *= 4


def market_inputs_of(engine: Engine) -> tuple[int, int]:
    """(bars, ticks) that an engine was fed; bars made of ticks are none of them."""
    markets = engine.state.markets
    ticks = markets["ticks"] + markets["bad"]
    if int(engine.state.rules[0]["bar_kind"]) == 0:
        return int(engine.account.bars), int(ticks.sum())
    return int(markets["bars"][ticks == 0].sum()), int(ticks.sum())


class Rest:
    """A feed that begins with `taken`, without them. Raises NotReplayable where it begins otherwise."""

    def __init__(self, feed: Feed, taken: np.ndarray) -> None:
        self._feed, self._taken = feed, taken

    def read_into(self, records: np.ndarray) -> int:
        """Fill `records` from the start; 0 at the end."""
        while True:
            count = self._feed.read_into(records)
            over = min(count, len(self._taken))
            if over == 0:
                if count == 0 and len(self._taken):
                    raise self._changed()
                return count
            if not _alike(records[:over], self._taken[:over]):
                raise self._changed()
            self._taken = self._taken[over:]
            if count > over:
                records[: count - over] = records[over:count].copy()
                return count - over

    def _changed(self) -> NotReplayable:
        ts = np.datetime64(int(self._taken["ts_init"][0]), "ns")
        return NotReplayable(
            f"the market tapes do not hold what the account was fed at {ts} UTC: choose the tapes of then with "
            "--tapes, or start another --account"
        )


def _alike(rows: np.ndarray, others: np.ndarray) -> bool:
    return all((rows[name] == others[name]).all() for name in SAID) and np.array_equal(_bodies(rows), _bodies(others))


def _bodies(rows: np.ndarray) -> np.ndarray:
    return rows.copy().view(np.uint8).reshape(len(rows), -1)[:, BODY_OFFSET:]
