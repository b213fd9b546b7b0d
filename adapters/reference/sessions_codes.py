"""The words of a trading day, each with its number on disk. Numbers are never re-used and never change."""

from enum import IntEnum


class PhaseKind(IntEnum):
    """What a market does at a moment. An auction's phase holds its order entry, matching and buffer."""

    CLOSED = 0
    PRE_OPEN = 1
    CONTINUOUS = 2
    CLOSING_AUCTION = 3
    POST_CLOSE = 4
    SPECIAL = 5  # the continuous phase of a special session: muhurat, a drill


TRADING = frozenset({PhaseKind.CONTINUOUS, PhaseKind.SPECIAL})
