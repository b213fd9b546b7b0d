"""What a strategy's files may not do when they are loaded: read a clock, dice, the environment, go through a set."""

import re

import pytest

from adapters.strategies.load import check_strategy
from kernel.errors import StrategyError
from tests.adapters.strategies.writing import EMPTY

IMPURE = {  # statement of a file: what is said
    "import random\nR = random.randint(1, 1000)": "random.randint: a strategy draws no random numbers",
    "from random import random as dice\nTABLE = tuple([dice() for _ in range(3)])": "dice: a strategy draws no random",
    "import numpy as np\nR = np.random.rand()": "np.random.rand: a strategy draws no random numbers",
    "import time\nNOW = time.time()": "time.time: a strategy has no clock",
    "from datetime import datetime\nTODAY = datetime.now()": "datetime.now: a strategy has no clock",
    "import datetime as d\nTODAY = d.date.today()": "d.date.today: a strategy has no clock",
    "import os\nK = int(os.environ.get('K', 5))": "os.environ: a strategy reads nothing from outside",
    "from os import getenv\nK = getenv('K')": "getenv: a strategy reads nothing from outside",
    "import uuid\nK = uuid.uuid4().int % 7": "uuid.uuid4: a strategy draws no random numbers",
    "import secrets\ndef f():\n    return secrets.randbelow(4)\nK = f()": "secrets.randbelow: a strategy draws no",
    "import random\nclass A:\n    k = random.random()": "random.random: a strategy draws no random numbers",
    "K = hash('abc') % 7": "hash: it differs from run to run",
    "K = id(object()) % 7": "id: it differs from run to run",
    "K = sum(map(hash, ('a', 'b')))": "hash: it differs from run to run",
    "K = __import__('time').time()": "__import__: write `import` at the top of the file",
    "import importlib\nK = importlib.import_module('time').time()": "importlib.import_module: write `import` at the top",
    "K = eval('1 + 1')": "eval: what it does cannot be seen before it runs",
    "import subprocess\nK = len(subprocess.check_output(['date']))": "subprocess.check_output: a strategy starts no other",
    "import tempfile\nK = len(tempfile.mkdtemp())": "tempfile.mkdtemp: a strategy needs no temporary file",
    "import os\nK = os.path.getmtime(__file__)": "os.path.getmtime: a strategy reads nothing from outside",
    "import os\nK = os.listdir('.')": "os.listdir: a strategy reads nothing from outside",
    "from pathlib import Path\nK = Path(__file__).stat().st_mtime": "Path(__file__).stat(): a strategy reads nothing",
    "from pathlib import Path\nK = len(list(Path('.').rglob('*')))": "Path('.').rglob('*'): a strategy reads nothing",
    "from pathlib import Path\nK = str(Path.cwd())": "Path.cwd(): a strategy reads nothing from outside",
    "import glob\nK = len(glob.glob('*'))": "glob.glob: a strategy reads nothing from outside",
    "import numpy as np\nK = np.datetime64('now')": "np.datetime64('now'): a strategy has no clock",
    "from numpy import datetime64\nK = datetime64('today')": "datetime64('today'): a strategy has no clock",
    "import ctypes\nK = ctypes.c_double(3.0)": "ctypes.c_double: a strategy looks at no memory but its own",
    "import numpy as np\nK = np.memmap('x')": "np.memmap: a strategy looks at no memory but its own",
    "import gc\nK = gc.get_objects()": "gc.get_objects: a strategy looks at no memory but its own",
    "import inspect\nK = inspect.stack()": "inspect.stack: a strategy looks at no memory but its own",
    "import sys\nK = sys.modules['adapters.market.feed']": "sys.modules: a strategy reads nothing from outside",
    "import sys\nK = sys._getframe(1)": "sys._getframe: a strategy reads nothing from outside",
    "import threading\nthreading.Thread(target=print).start()": "threading.Thread: a strategy does nothing beside",
    "import httpx\nK = httpx.get('x')": "httpx.get: a strategy asks no other machine",
    "from smtplib import SMTP\nK = SMTP()": "SMTP: a strategy asks no other machine",
    "import builtins\nK = builtins.hash('a')": "builtins.hash: it differs from run to run",
    "K = __builtins__['hash']('a')": "__builtins__: what it does cannot be seen before it runs",
    "K = globals()['x']": "globals: what it does cannot be seen before it runs",
    "K = 'a'.__hash__() % 7": "'a'.__hash__: it differs from run to run",
    "def f():\n    return 1\nK = f.__globals__": "f.__globals__: a strategy looks only at what it declares",
    "from adapters.market import feed": "from adapters.market import feed: of Onetape a strategy imports `onetape`",
    "import api.backtest": "import api.backtest: of Onetape a strategy imports `onetape`",
    "import time\nK = getattr(time, 'time')()": "time: a strategy has no clock",
    "import time\nclock = time\nK = clock.time()": "time: a strategy has no clock",
    "from time import *\nK = time()": "from time import *: a strategy has no clock",
    "import time\nclass A:\n    def __init__(self):\n        self.t = time.time()\nK = A().t": "time.time: a strategy has no",
    "import time\ndef f(x):\n    return time.time()\nK = list(map(f, (1,)))": "time.time: a strategy has no clock",
    "K = tuple({'a', 'b'})": "{'a', 'b'}: a set has another order in every run: go through sorted(...) of it",
    "NAMES = {'a', 'b'}\nMORE = NAMES | {'c'}\nK = [len(name) for name in MORE]": "MORE: a set has another order",
    "K = 0\nfor name in set('ab'):\n    K = ord(name)": "set('ab'): a set has another order",
    "a, b = {'a', 'b'}": "{'a', 'b'}: a set has another order",
    "K = {'a', 'b'}.pop()": "{'a', 'b'}: a set has another order",
    "K = [*frozenset('ab')]": "frozenset('ab'): a set has another order",
    "K = sorted(name for name in {'a', 'b'})\nL = len(set(K)), 'a' in {'a'}, {x for x in {'a'}}": "",
    "def hash(x):\n    return 7\nK = hash('abc')": "",
    "import os\nK = os.path.dirname(os.path.abspath(__file__))": "",
    "import time\nclass A:\n    def later(self):\n        return time.time()\nK = A()": "",
    "import random\nK = random.Random(7).randint(1, 9)": "",
    "import time\ndef never_called():\n    return time.time()": "",
    "import datetime\nDAY = datetime.timedelta(days=1)": "",
    "class A:\n    def stat(self):\n        return 3\nK = A().stat()": "",
    "import numpy as np\nK = np.datetime64('2024-01-01')": "",
    "import sys\nsys.path.append('elsewhere')": "",
    "import time\nif __name__ == '__main__':\n    print(time.time())": "",
}


@pytest.mark.parametrize("statement", IMPURE)
@pytest.mark.parametrize("where", ["mine", "beside"])
def test_what_a_file_may_not_read(strategy_file, tmp_path, statement, where):
    """A constant of chance would make every replay another strategy."""
    if where == "beside":
        strategy_file(statement, name="beside.py", head="")
    path = strategy_file(EMPTY, head=f"from onetape import *\n{statement if where == 'mine' else 'import beside'}\n")
    if not IMPURE[statement]:
        check_strategy(str(path))
        return
    with pytest.raises(StrategyError, match=re.escape(IMPURE[statement])) as caught:
        check_strategy(str(path))
    assert re.match(rf"{re.escape(str(tmp_path / where))}.py:\d+: ", str(caught.value))
