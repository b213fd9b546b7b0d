"""The words of a run for its numbers: strategies, instruments and codes, as Arrow dictionary columns."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

import numpy as np
import pyarrow as pa

from kernel.codes import REASON_TEXT, KillLevel, OrderType, Reason, Status, TimeInForce
from kernel.errors import TapeCorrupt
from kernel.frame import VIEWS
from kernel.state import Capacity, Rules
from kernel.terms import charges_of, terms_of
from projections.watch import WatchedFold

ACCOUNT = "account"  # strategy 0
BATCH = 16_384  # rows folded at once


@dataclass(frozen=True)
class RunConfig:
    """What the note of a RUN_STARTED says, with a label for each strategy and instrument that no other has."""

    text: str
    config: Mapping[str, Any]
    strategies: tuple[str, ...]  # by number; 0 is the account
    symbols: tuple[str, ...]  # by instrument number

    @property
    def currencies(self) -> tuple[str, ...]:
        """By number; the first is the account's own."""
        return tuple(self.config.get("currencies") or (self.config["currency"],))


def read_config(text: str | None) -> RunConfig:
    """The configuration of a run. Raises TapeCorrupt when the note is missing or not one."""
    try:
        config = json.loads(text or "")
        strategies, instruments = config["strategies"], config["instruments"]
        names = {0: ACCOUNT} | _labels({int(row["number"]): str(row["name"]) for row in strategies})
        symbols = _labels({int(row["number"]): str(row["symbol"]) for row in instruments})
        return RunConfig(text or "", config, _table(names), _table(symbols))
    except (ValueError, KeyError, TypeError) as error:
        raise TapeCorrupt(f"RUN_STARTED has no readable configuration ({type(error).__name__}: {error})") from None


def _labels(names: dict[int, str]) -> dict[int, str]:
    """Names that several numbers share get their number: `ema_cross#2`."""
    uses = Counter(names.values())
    return {number: name if uses[name] == 1 else f"{name}#{number}" for number, name in names.items()}


def _table(names: dict[int, str]) -> tuple[str, ...]:
    return tuple(names.get(number, f"#{number}") for number in range(max(names, default=-1) + 1))


def instrument_rows(run: RunConfig) -> list[dict[str, Any]]:
    """The rows of `run_instruments` but for the tape."""
    segments = run.config.get("charges", {}).get("segments", ())
    rows = []
    for row, terms in zip(run.config["instruments"], terms_of(run.config), strict=True):
        place = terms.segment
        named = segments[place - 1] if 0 < place <= len(segments) else str(place)
        rows.append(
            {
                "number": terms.number,
                "master": int(row.get("master", terms.number)),
                "symbol": run.symbols[terms.number],
                "kind": str(row.get("kind", "EQUITY")),
                "segment": named if place > 0 else None,
                "currency": run.currencies[terms.currency],
                "tick": terms.tick,
                "lot": terms.lot,
                "px_scale": terms.px_scale,
                "qty_scale": 10 ** int(row.get("qty_decimals", 0)),
                "num": terms.num,
                "den": terms.den,
            }
        )
    return rows


def make_fold(run: RunConfig) -> WatchedFold:
    """A fold with the tables of the run."""
    config = run.config
    rules = {name: config["rules"][name] for name in (f.name for f in fields(Rules)) if name in config["rules"]}
    rules |= {"cash": int(config["cash"])}
    capacity = {name: value for name, value in config["capacity"].items() if name != "batch"}
    return WatchedFold(
        Capacity(**capacity, batch=BATCH),
        Rules(**rules),
        config["limits"],
        terms_of(config),
        len(run.strategies) - 1,
        charges_of(config),
    )


def _words(enum: type[IntEnum]) -> tuple[str | None, ...]:
    by_number = {int(member): member.name for member in enum if member.name not in ("NONE", "ILLEGAL")}
    return tuple(by_number.get(number) for number in range(256))


STATUS, REASON, ORDER_TYPE, TIF = (_words(enum) for enum in (Status, Reason, OrderType, TimeInForce))
LEVEL = tuple(level.name for level in KillLevel)
SIDE = ("SELL", "CANCEL", "BUY")  # of side + 1
SETTLED_SIDE = ("SELL", None, "BUY")
DIRECTION = ("SHORT", "", "LONG")
HOOK = tuple(f"on_{what}" for what in VIEWS)


def label(words: tuple[str | None, ...], codes: np.ndarray) -> pa.Array:
    """`words[code]` for each code as a dictionary column; null where there is no word."""
    known = np.array([word is not None for word in words] + [False])
    place = np.where((codes >= 0) & (codes < len(words)), codes, len(words)).astype(np.int32)
    indices = pa.array(place, mask=~known[place])
    return pa.DictionaryArray.from_arrays(indices, pa.array([word or "" for word in words], pa.string()))


_KNOWN = {int(reason): text for reason, text in REASON_TEXT.items()}


def texts(seqs: np.ndarray, reasons: np.ndarray, notes: Mapping[int, str]) -> pa.Array:
    """The note of each seq, else its reason in plain words, else null."""
    pairs = zip(seqs.tolist(), reasons.tolist(), strict=True)
    return pa.array([notes.get(seq) or _KNOWN.get(code) or None for seq, code in pairs], pa.string())
