"""How long a network's operators take on this machine."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasq.format.model import Model
from kerasq.runtime import Network

_QUARTILES = (25, 50, 75)


def described(model: Model, network: Network, seconds: np.ndarray) -> list[dict[str, Any]]:
    """What computes each operator, and its time: see `kerasq.Interpreter.profile`.

    Args:
        model: The network.
        network: The same in the runtime.
        seconds: What `network.operator_times` returns.
    """
    low, median, high = np.percentile(seconds, _QUARTILES, axis=0)
    return [
        {
            "kind": str(operator.kind),
            "output": model.output(operator).name,
            "kernel": info.kernel,
            "macs": info.macs,
            "seconds": float(median[position]),
            "share": float(median[position] / median.sum()),
            "quartiles": [float(low[position]), float(high[position])],
            "samples": seconds[:, position].tolist(),
        }
        for position, (operator, info) in enumerate(zip(model.operators, network.operators(), strict=True))
    ]
