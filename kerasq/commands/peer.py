"""What kerasq-bench --peer compares with: the same network in LiteRT (TensorFlow Lite), or in another .kq file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from kerasq.commands.arguments import CommandError, naming
from kerasq.evaluation.tflite import stored
from kerasq.interpreter import Interpreter


def open_kq(path: Path, inputs: Sequence[np.ndarray], tier: str | None) -> Callable[[], None]:
    """The same as `open_peer` for a .kq file, with kernels of a tier.

    Raises:
        CommandError: The file is not one that takes these inputs.
    """
    with naming(path):
        interpreter = Interpreter(model_path=path, engine="native", isa=tier, num_threads=1)
    tensors = [interpreter.model.tensors[index] for index in interpreter.model.inputs]
    shapes = [[tensor.shape for tensor in tensors], [values.shape for values in inputs]]
    if shapes[0] != shapes[1]:
        raise CommandError(f"{path} has inputs of shapes {shapes[0]}, the other file {shapes[1]}: compare the same network")
    interpreter.allocate_tensors()
    for index, tensor, values in zip(interpreter.model.inputs, tensors, inputs, strict=True):
        interpreter.set_tensor(index, tensor.format.quantize(values))
    return interpreter.invoke


def open_peer(path: Path, inputs: Sequence[np.ndarray]) -> Callable[[], None]:
    """A call that runs the network of a .tflite file once, in one thread, on given values.

    Args:
        path: The file.
        inputs: Values of each input, in the order of the .kq file; each is quantized as the file says.

    Raises:
        CommandError: LiteRT is not installed, or the file is not one that takes these inputs.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise CommandError("--peer needs LiteRT: pip install 'kerasq[bench]'") from error
    with naming(path):
        content = path.read_bytes()
    try:
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise CommandError(f"{path} is not a network that LiteRT runs: {' '.join(str(error).split())}") from error
    details = interpreter.get_input_details()
    if len(details) != len(inputs):
        raise CommandError(f"{path} has {len(details)} inputs, the .kq file has {len(inputs)}: compare the same network")
    for detail, values in zip(details, inputs, strict=True):
        if np.prod(detail["shape"]) != values.size:
            raise CommandError(
                f"{path}: input {detail['name']!r} has shape {tuple(detail['shape'].tolist())}, that of the .kq file "
                f"{values.shape}: compare the same network"
            )
        interpreter.set_tensor(detail["index"], stored(detail, values.reshape(detail["shape"])))
    return interpreter.invoke
