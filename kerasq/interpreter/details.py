"""What `get_tensor_details` and the like tell of a tensor, with the keys of tf.lite."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasq.format.model import Tensor


def of_tensor(tensor: Tensor, index: int, shape: tuple[int, ...]) -> dict[str, Any]:
    """Details of a tensor (`Interpreter.get_tensor_details` describes them) that has a shape at present."""
    steps = [] if tensor.format.is_float else [tensor.format.step]
    return {
        "name": tensor.name,
        "index": index,
        "shape": np.array(shape, np.int32),
        "shape_signature": np.array(shape if tensor.is_constant else (-1, *shape[1:]), np.int32),
        "dtype": tensor.format.dtype.type,
        "format": tensor.format,
        "quantization": (steps[0] if steps else 0.0, 0),
        "quantization_parameters": {
            "scales": np.array(steps, np.float32),
            "zero_points": np.zeros(len(steps), np.int32),
            "quantized_dimension": 0,
        },
        "sparsity_parameters": {},
    }
