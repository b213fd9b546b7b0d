"""Merge streams of columns that are in order: flat memory, one batch of each at a time."""

from collections.abc import Iterator

import numpy as np

from adapters.market.tape import Columns


def stretches(values: np.ndarray) -> tuple[list[int], list[int]]:
    """First and one-past-last places of the runs of equal values."""
    edges = [0, *(np.flatnonzero(values[1:] != values[:-1]) + 1).tolist(), len(values)]
    return edges[:-1], edges[1:]


def with_end(chunks: Iterator[Columns]) -> Iterator[tuple[Columns, int | None]]:
    """Each chunk with the first ts_init of the one after it, None for the last."""
    held = next(chunks, None)
    while held is not None:
        after = next(chunks, None)
        yield dict(held), None if after is None else int(after["ts_init"][0])
        held = after


def merge(streams: list[Iterator[Columns]]) -> Iterator[Columns]:
    """Merge streams of columns sorted by (ts_init, instrument); ties go by instrument, then by the stream's place."""
    hands = [next(stream, None) for stream in streams]
    while any(hand is not None for hand in hands):
        ends = [int(hand["ts_init"][-1]) for hand in hands if hand is not None]
        horizon = min(ends)
        for k in range(len(hands)):  # rows at the horizon may go on in a stream's next batch
            while (hand := hands[k]) is not None and int(hand["ts_init"][-1]) == horizon:
                more = next(streams[k], None)
                if more is None:
                    break
                hands[k] = _joined([hand, more])
        parts = []
        for k, hand in enumerate(hands):
            if hand is None:
                continue
            cut = int(np.searchsorted(hand["ts_init"], horizon, "right"))
            if cut:
                parts.append((k, {name: values[:cut] for name, values in hand.items()}))
            hands[k] = {name: values[cut:] for name, values in hand.items()}
            if cut == len(hand["ts_init"]):
                hands[k] = next(streams[k], None)
        chunk = _joined([part for _, part in parts])
        place = np.concatenate([np.full(len(part["ts_init"]), k) for k, part in parts])
        order = np.lexsort((place, chunk["instrument"], chunk["ts_init"]))
        yield {name: values[order] for name, values in chunk.items()}


def _joined(parts: list[Columns]) -> Columns:
    """Columns one after the other; optional ones that some parts lack are zero there."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {
        name: np.concatenate([part.get(name, np.zeros(len(part["ts_init"]), np.int64)) for part in parts])
        for name in names
    }
