"""From release 1: what was wished for and sent has slots of its own now, and so has what was refused.

A SIGNAL, an order that was sent and one that was denied shared the slots of reports: `ref` repeated the cause,
`leaves_qty` the quantity, and a denial said nothing of the numbers behind it.
"""

import numpy as np

SIGNAL, SUBMITTED, DENIED = 64, 65, 66


def upcast(rows: np.ndarray) -> np.ndarray:
    """128-byte records of release 1 as release 2 has them; the same array where nothing changes."""
    kinds = rows["kind"]
    sent = (kinds == SUBMITTED) | (kinds == DENIED)
    changed = sent | (kinds == SIGNAL)
    if not changed.any():
        return rows
    made = rows.copy()
    made["ref"][sent] = 0
    for name in ("trail", "expire_ts", "parent"):  # once fee, cum_qty and leaves_qty
        made[name][changed] = 0
    made["allowed"][kinds == DENIED] = 0
    return made
