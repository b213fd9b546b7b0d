"""What can go wrong outside the kernel's own logic, as one tree:

OnetapeError                the sentence is for the user: what, where, how to mend it; `exit_code` ends the CLI
├── ConfigError        (2)  onetape.toml, the environment or an argument
├── ImportRefused      (2)  a data file that must not enter a tape
├── NotFound           (2)  no such run, tape, instrument, strategy or date
├── StrategyError      (2)  a strategy file that cannot run, with file, line and construct
│   └── Dishonest      (2)  it may decide by what is no part of its run: a clock, dice, files, memory of its own
├── LimitExceeded      (2)  a table or queue is smaller than the run needs
├── NotReplayable      (2)  inputs or code that a replay needs are gone
├── TapeCorrupt       (65)  stored bytes are not what was written
├── TapePoisoned      (74)  the writer met an I/O error and must not go on
├── TapeLocked        (75)  another process writes this tape
└── TokenRefused      (77)  a bearer token that opens nothing; the sentence never holds the token

Expected trouble inside a run is a reason code in an event; broken code is an assert that stays on.
"""


class OnetapeError(Exception):
    exit_code = 1


class ConfigError(OnetapeError):
    exit_code = 2


class ImportRefused(OnetapeError):
    exit_code = 2


class NotFound(OnetapeError):
    exit_code = 2


class StrategyError(OnetapeError):
    exit_code = 2


class Dishonest(StrategyError):
    pass


class LimitExceeded(OnetapeError):
    exit_code = 2


class NotReplayable(OnetapeError):
    exit_code = 2


class TapeCorrupt(OnetapeError):
    """`segment`, `offset` and `seq` name the first damaged place where it is a place in a segment."""

    exit_code = 65
    segment = ""
    offset = -1
    seq = 0


class TapePoisoned(OnetapeError):
    exit_code = 74


class TapeLocked(OnetapeError):
    exit_code = 75


class TokenRefused(OnetapeError):
    exit_code = 77
