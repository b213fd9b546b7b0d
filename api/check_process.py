"""A run of `onetape check` in a process of its own: with another hash seed, or in the other mode of the kernel. What
loading the strategy does outside its file is watched there, where watching cannot be got around later."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from adapters.strategies.watched import load_watched
from api.check_run import Outcome, Place, Runner, Trial
from kernel.codehash import KERNEL
from kernel.errors import Dishonest, OnetapeError, StrategyError
from kernel.schema import EVENT, RAW, join_rows

PATIENCE_SECONDS = 600.0
ASKED, ANSWER, SIGNALS = "asked.json", "answer.json", "signals.npy"


@dataclass(frozen=True)
class Answer:
    """What the other process says: its outcome, what the functions take from modules, what loading did outside."""

    outcome: Outcome
    constants: dict[str, str]
    opened: list[str]
    asked: list[str]
    replaced: list[str]


class Elsewhere:
    """A trial that is begun in another process at once; `answer()` waits for it. Leaving the block ends it."""

    def __init__(self, place: Place, trial: Trial, compiled: bool, hash_seed: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="onetape-check-")
        self._asked = Path(self._folder.name)
        (self._asked / ASKED).write_text(json.dumps({"place": place.as_dict(), "trial": asdict(trial)}))
        paths = os.pathsep.join([str(KERNEL.parent), *filter(None, sys.path)])
        own = {"ONETAPE_JIT": str(int(compiled)), "PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": paths}
        command = [sys.executable, "-m", "api.check_process", self._folder.name]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, env={**os.environ, **own}, stdout=pipe, stderr=pipe, text=True)

    def answer(self) -> Answer:
        """Raises StrategyError where the strategy cannot be loaded or run there."""
        try:
            _, errors = self._process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            raise StrategyError(f"a run in another process took more than {PATIENCE_SECONDS:.0f} s") from None
        path = self._asked / ANSWER
        if not path.is_file():
            last = (errors.strip().splitlines() or ["it said nothing"])[-1]
            raise StrategyError(f"a run in another process ended with status {self._process.returncode}: {last[:200]}")
        said = json.loads(path.read_text())
        if "error" in said:
            raise (Dishonest if said["dishonest"] else StrategyError)(said["error"])
        signals = np.load(self._asked / SIGNALS).view(EVENT)
        outcome = Outcome(signals, said["digest"], said["summary"], said["faults"], join_rows([]), {})
        return Answer(outcome, said["constants"], said["opened"], said["asked"], said["replaced"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()
        self._folder.cleanup()


def answer_in(folder: Path) -> None:
    """Make the run that is asked for in `folder`, and leave what it came to there."""
    asked = json.loads((folder / ASKED).read_text())
    place, trial = Place.of(asked["place"]), Trial(**asked["trial"])
    try:
        said = _answered(place, trial, folder)
    except OnetapeError as error:
        said = {"error": str(error), "dishonest": isinstance(error, Dishonest)}
    (folder / ANSWER).write_text(json.dumps(said))


def _answered(place: Place, trial: Trial, folder: Path) -> dict[str, Any]:
    watched = load_watched(place.origin)
    outcome = Runner(place)(trial)
    np.save(folder / SIGNALS, np.ascontiguousarray(outcome.signals).view(RAW).view(np.uint8))
    return {
        "digest": outcome.digest,
        "summary": outcome.summary,
        "faults": outcome.faults,
        "constants": watched.checked.reach.constants,
        "opened": watched.opened,
        "asked": watched.asked,
        "replaced": watched.replaced,
    }


if __name__ == "__main__":
    answer_in(Path(sys.argv[1]))
