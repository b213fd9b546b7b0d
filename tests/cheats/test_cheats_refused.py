"""Cheats that their source gives away: refused before anything runs, as dishonest, with file and line."""

import json
import re

import pytest

from adapters.strategies.load import check_strategy
from kernel.errors import Dishonest, StrategyError
from kernel.jit import COMPILED
from tests.adapters.strategies.writing import EMPTY, hook

NUMPY = "import numpy as np\nT = np.zeros(3)\n"
IN_HOOKS = {  # what is tried: (statements of the file, body of on_bar, what is said)
    "a clock": ("import time\n", "return buy(time.time())", "a strategy has no clock"),
    "a clock by datetime": ("import datetime\n", "return buy(datetime.datetime.now().hour)", "a strategy has no clock"),
    "dice": ("import random\n", "return buy(random.random())", "draws no random numbers"),
    "dice of numpy": ("import numpy as np\n", "return buy(np.random.rand())", "draws no random numbers"),
    "dice by hash": ("", "return buy(hash(bar.close) % 7)", "hash(): it differs from run to run"),
    "dice by address": ("", "return buy(id(bar) % 7)", "id(): it differs from run to run"),
    "dice of the system": ("import os\n", "return buy(os.urandom(1)[0])", "a strategy reads nothing from outside"),
    "an identifier": ("import uuid\n", "return buy(uuid.uuid4().int)", "draws no random numbers"),
    "secrets": ("import secrets\n", "return buy(secrets.randbelow(7))", "draws no random numbers"),
    "a file": ("", "return buy(len(open('next_close.txt')))", "a strategy reads no files"),
    "a question": ("", "return buy(input())", "a strategy asks nobody"),
    "hidden code": ("", "return buy(eval('1'))", "eval()"),
    "an import in a hook": ("", "import requests\nreturn HOLD", "import inside a hook"),
    "a global": ("N = 0\n", "global N\nN += 1\nreturn buy(N)", "cannot use global"),
    "a list of the module": ("SEEN = [0]\n", "return buy(SEEN[0])", "SEEN is a list, which may change"),
    "a dictionary of the module": ("SEEN = {0: 1}\n", "return buy(SEEN[0])", "SEEN is a dict, which may change"),
    "an array of the module": (NUMPY, "T[0] = bar.close\nreturn HOLD", "T is a constant"),
    "an attribute of a class": ("class S:\n    n = 0\n", "S.n = 3\nreturn HOLD", "S.n cannot be set"),
    "a default that remembers": (
        NUMPY + "@helper\ndef f(x, seen=np.zeros(2)):\n    seen[0] = x\n    return seen[0]\n",
        "return buy(f(bar.close))",
        "the default of seen can be changed",
    ),
}
MISTAKES = {  # not dishonest by themselves: the compiler refuses them, or they mean nothing
    "an array under another name": (NUMPY, "t = T\nt[0] = bar.close\nreturn HOLD", "Cannot modify readonly array"),
    "an attribute of a function": ("@helper\ndef f(x):\n    return x\n", "f.n = 3\nreturn HOLD", "f.n does not exist"),
    "an array in a class": (
        "import numpy as np\nclass S:\n    t = np.zeros(9)\n",
        "return buy(S.t[3])",
        "cannot be compiled",
    ),
    "a closure": (
        "def make():\n    n = [0]\n    @helper\n    def f(x):\n        return n[0]\n    return f\nf = make()\n",
        "return buy(f(1))",
        "it uses n of the function around it",
    ),
    "a bar of another time": ("", "return buy(bar[1].close)", "cannot be compiled"),
    "memory of others": ("import numpy as np\n", "return buy(np.empty(3)[0])", "it holds whatever was in memory"),
    "a set": ("", "return buy([x for x in {1, 2}][0])", "cannot use a set"),
}
WHEN_READ = {  # statement of the file: what is said
    "import ctypes\nNEXT = ctypes.c_double.from_address(4_096)": "a strategy looks at no memory but its own",
    "import gc\nALL = gc.get_objects()": "a strategy looks at no memory but its own",
    "import inspect\nFEED = inspect.stack()": "a strategy looks at no memory but its own",
    "import mmap\nTAPE = mmap.mmap(-1, 8)": "a strategy looks at no memory but its own",
    "import sys\nFEED = sys.modules['adapters.market.feed']": "a strategy reads nothing from outside",
    "from adapters.market.feed import MarketFeed": "of Onetape a strategy imports `onetape`",
    "import api.backtest": "of Onetape a strategy imports `onetape`",
    "from onetape import strategy\nFEED = strategy.__globals__": "a strategy looks only at what it declares",
    "import threading\nthreading.Thread(target=print).start()": "a strategy does nothing beside its calls",
    "import urllib.request\nNEXT = urllib.request.urlopen('http://x').read()": "a strategy asks no other machine",
    "import httpx\nNEXT = httpx.get('http://x')": "a strategy asks no other machine",
    "import subprocess\nNEXT = subprocess.check_output('date')": "a strategy starts no other program",
    "import numpy as np\nNOW = np.datetime64('now')": "a strategy has no clock",
    "import time\nNOW = time.monotonic()": "a strategy has no clock",
    "import random\nDICE = random.Random().random()": "draws no random numbers",
    "import numpy as np\nDICE = np.random.default_rng().random()": "draws no random numbers",
    "import os\nDICE = os.urandom(1)[0]": "a strategy reads nothing from outside",
    "DICE = hash('a') % 7": "it differs from run to run",
    "DICE = 'a'.__hash__() % 7": "it differs from run to run",
    "DICE = [len(x) for x in {'a', 'bb'}][0]": "a set has another order in every run",
    "from pathlib import Path\nNEW = max(p.stat().st_mtime for p in Path('.').iterdir())": "nothing from outside",
    "import importlib\nCLOCK = importlib.import_module('time')": "write `import` at the top of the file",
}


@pytest.mark.parametrize("name", IN_HOOKS)
def test_refused_in_a_hook(strategy_file, name):
    before, body, said = IN_HOOKS[name]
    path = strategy_file(hook(body, before=before))
    with pytest.raises(Dishonest, match=re.escape(said)) as caught:
        check_strategy(str(path))
    assert re.match(rf"{re.escape(str(path))}:\d+: ", str(caught.value))


@pytest.mark.parametrize("statement", WHEN_READ)
def test_refused_when_it_is_read(strategy_file, statement):
    path = strategy_file(EMPTY, head=f"{statement}\nfrom onetape import *\n")
    with pytest.raises(Dishonest, match=re.escape(WHEN_READ[statement])) as caught:
        check_strategy(str(path))
    assert re.match(rf"{re.escape(str(path))}:\d+: ", str(caught.value))


@pytest.mark.sim
@pytest.mark.skipif(not COMPILED, reason="the compiler refuses them")
@pytest.mark.parametrize("name", MISTAKES)
def test_refused_as_a_mistake(strategy_file, load, name):
    before, body, said = MISTAKES[name]
    with pytest.raises(StrategyError, match=re.escape(said)) as caught:
        load(str(strategy_file(hook(body, before=before))))
    assert not isinstance(caught.value, Dishonest)


def test_the_command_says_so(home, call, strategy_file):
    """Nothing is run; the code is 1, not 2 as for a mistake."""
    path = strategy_file(hook("return buy(hash(bar.close) % 7)"))
    said = call(home, "check", str(path))
    assert said.code == 1
    text = " ".join(said.out.split())
    assert "NOT HONEST" in text and "hash(): it differs from run to run" in text and "where: " in text
    found = call(home, "check", str(path), "--json")
    assert found.code == 1
    [finding] = json.loads(found.out)["findings"]
    assert (finding["check"], finding["status"]) == ("source", "failed")
    line = int(finding["where"].rpartition(":")[2])
    assert "hash" in path.read_text().splitlines()[line - 1]
    assert not list((home / "runs").glob("*"))
