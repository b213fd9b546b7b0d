"""What a strategy's files may not read when they are loaded: a clock, dice, the environment."""

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
    "import random\nK = random.Random(7).randint(1, 9)": "",
    "import time\ndef never_called():\n    return time.time()": "",
    "import datetime\nDAY = datetime.timedelta(days=1)": "",
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
