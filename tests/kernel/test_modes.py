"""The same bytes compiled and interpreted, and whatever the hash seed of the process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kernel.jit import COMPILED
from tests.kernel.one_run import one_run

ROOT = Path(__file__).parents[2]
SLICES, MANY = 60, 450  # some 160 and 1,200 bars
pytestmark = pytest.mark.skipif(not COMPILED, reason="compares the compiled with the interpreted run")


def process(jit: int, hash_seed: int, *arguments: str) -> subprocess.Popen:
    env = {**os.environ, "ONETAPE_JIT": str(jit), "PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": str(ROOT)}
    env.pop("PYTEST_XDIST_WORKER", None)
    return subprocess.Popen([sys.executable, *arguments], env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("count", [SLICES, pytest.param(MANY, marks=pytest.mark.sim)])
def test_compiled_interpreted_and_hash_seeds(load, count):
    ways = [(0, 1, count), (1, 2, count), (0, 3, count // 8)]  # jit, hash seed, slices
    others = [process(jit, seed, "-m", "tests.kernel.one_run", str(slices)) for jit, seed, slices in ways]
    here = {slices: one_run(slices) for slices in (count, count // 8)}
    assert here[count]["bars"] > 2.5 * count
    assert here[count]["fills"] > count // 5
    for other, (jit, _, slices) in zip(others, ways, strict=True):
        said, _ = other.communicate(timeout=120)
        assert other.returncode == 0
        assert json.loads(said) == {**here[slices], "compiled": bool(jit)}


@pytest.mark.sim
def test_the_kernels_tests_pass_interpreted():
    """The rules of venue, risk, accounting, life cycle and arithmetic, once more from the same source uncompiled."""
    names = ("units", "venue", "risk", "lifecycle", "accounting", "indicators")
    files = [f"tests/kernel/test_{name}.py" for name in names]
    done = process(0, 0, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *files)
    said, _ = done.communicate(timeout=180)
    assert done.returncode == 0, said[-3_000:]
    assert "[100%]" in said
