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


class TimerCode(IntEnum):
    """What a timer event says. In number order at one instant, so that a market open around the clock ends a day
    before it begins the next."""

    SESSION_CLOSE = 1  # DAY orders expire
    DAY_END = 2  # contract notes and settlement; after the post-close session
    SESSION_OPEN = 3
    SQUARE_OFF = 4  # intraday positions are to be closed from here
    CLOSING_AUCTION = 5  # continuous trading has ended, the auction begins
