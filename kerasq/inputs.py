"""Values for a network's inputs, in every form that Keras takes them in, brought into the network's order.

Who gives values by name (a mapping, an .npz archive) is served by name; who gives a list or a tuple, by position. Where neither
names nor shapes can tell which array belongs to which input, that is an error and never a guess. `predict`, the converter's
datasets, the callback and the commands all call these functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

_UNNAMED = re.compile(r"arr_(\d+)")  # numpy.savez names so what it gets by position


class Input(NamedTuple):
    """An input of a network.

    Attributes:
        name: What its user calls it.
        shape: Its shape with the batch axis; that, and `None`, stand for any size.
        tensor: Name of its tensor, by which it may be called as well.
    """

    name: str
    shape: tuple[int | None, ...]
    tensor: str

    def fits(self, array: Any) -> bool:
        """Whether an array is a batch of this input by its shape."""
        shape = np.shape(array)
        sizes = zip(shape[1:], self.shape[1:], strict=False)
        return len(shape) == len(self.shape) and all(wanted in (None, size) for size, wanted in sizes)


def in_order(x: Any, inputs: Sequence[Input], *, ordered: bool = True) -> list[Any]:
    """What belongs to each input, as it was given.

    Args:
        x: A mapping by names; a list or tuple in the network's order, nested as its Keras model takes it (mappings inside of it
            count in the order of their keys, as in Keras); for a network of one input also the array itself.
        ordered: Whether the order of `inputs` is the network's own. Where it is not known, shapes must decide.

    Raises:
        ValueError: Names or number are others than the network's, or neither names nor shapes decide.
    """
    if isinstance(x, Mapping):
        return _by_name(_with_paths(x), inputs)
    if len(inputs) == 1:
        return [_only(x, inputs[0])]
    parts = _parts(x, len(inputs)) if isinstance(x, list | tuple) else None
    if parts is None or len(parts) != len(inputs):
        received = type(x).__name__ if parts is None else f"{len(parts)} arrays"
        raise ValueError(
            f"The network has {len(inputs)} inputs ({_names(inputs)}): pass a list of as many arrays, in this order, or a dict "
            f"by name. Received: {received}"
        )
    if ordered:
        return parts
    decided = _by_shape(parts, inputs)
    if decided is None:
        raise ValueError(
            f"The order of the network's inputs ({_names(inputs)}) is not known, and the shapes of these arrays do not tell: "
            f"pass a dict by name. Received: {_shapes(parts)}"
        )
    return decided


def batch_in_order(batch: Any, inputs: Sequence[Input], *, ordered: bool = True) -> list[Any]:
    """`in_order` for what `fit` takes too: the inputs, or a tuple `(inputs, targets)` or `(inputs, targets, sample weights)`."""
    if isinstance(batch, tuple) and len(batch) in (2, 3) and (len(batch) != len(inputs) or not all(map(is_array, batch))):
        flat = [leaf for part in batch for leaf in _leaves(part)]
        # A nested structure of as many arrays is the inputs; anything else has targets beside them.
        if len(flat) != len(inputs) or len(inputs) == 1:
            batch = batch[0]
    return in_order(batch, inputs, ordered=ordered)


def batches(data: Any) -> Iterator[Any]:
    """The batches of an iterable, of a `keras.utils.PyDataset`, or of whatever else has elements by number.

    Raises:
        TypeError: It is none of these.
    """
    if not isinstance(data, list | tuple) and hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return (data[index] for index in range(len(data)))  # an iterator over these need not end
    return iter(data)


def archive_in_order(arrays: Mapping[str, np.ndarray], inputs: Sequence[Input], *, ordered: bool = True) -> list[np.ndarray]:
    """The arrays of an .npz archive for each input: by name, by position where `numpy.savez` got no names, else by shape.

    Raises:
        ValueError: Their number is another, or neither names nor shapes decide.
    """
    received = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
    if len(arrays) != len(inputs):
        raise ValueError(f"one array for each of the network's {len(inputs)} inputs was expected. Received: {received}")
    if len(inputs) == 1:
        return list(arrays.values())
    names = {name for entry in inputs for name in (entry.name, entry.tensor)}
    if names.intersection(arrays):
        return _by_name(arrays, inputs)
    if {match[1] for name in arrays if (match := _UNNAMED.fullmatch(name))} == set(map(str, range(len(inputs)))):
        return in_order([arrays[f"arr_{position}"] for position in range(len(inputs))], inputs, ordered=ordered)
    decided = _by_shape(list(arrays.values()), inputs)
    if decided is None:
        raise ValueError(
            f"neither names nor shapes tell which array belongs to which input: name them {_names(inputs)}, as in "
            f"numpy.savez(file, **arrays). Received: {received}"
        )
    return decided


def listed(outputs: Any) -> list[Any]:
    """The outputs of a network, which come as one array, as a list, or as a dict by name, as a list."""
    if isinstance(outputs, Mapping):
        return list(outputs.values())
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def as_array(value: Any, name: str) -> np.ndarray:
    """The numbers for input `name`.

    Raises:
        TypeError: It is no array of real numbers.
    """
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:  # rows of different lengths; tensors that hide their values
        reason = " ".join(str(error).split())
        raise TypeError(f"Input {name!r} must be an array of numbers. Received: {type(value).__name__} ({reason})") from None
    if array.dtype.kind not in "biuf":
        received = f"dtype={array.dtype}" if isinstance(value, np.ndarray) else f"{type(value).__name__}, of dtype={array.dtype}"
        raise TypeError(f"Input {name!r} must be an array of real numbers. Received: {received}")
    return array


def with_batch_axis(arrays: Sequence[np.ndarray], inputs: Sequence[Input]) -> tuple[list[np.ndarray], bool]:
    """The arrays with a batch axis, and whether they came without one: each is a single example then.

    Raises:
        ValueError: Some are batches and some are single examples.
    """
    single = [array.ndim == len(entry.shape) - 1 for array, entry in zip(arrays, inputs, strict=True)]
    if any(single) and not all(single):
        raise ValueError(f"some inputs are batches and some are single examples. Received: {_shapes(arrays)}")
    return [array[np.newaxis] if all(single) else array for array in arrays], all(single)


def _only(x: Any, entry: Input) -> Any:
    """The array of a network's only input, out of the list that Keras takes as well."""
    wrapped = isinstance(x, list | tuple) and len(x) == 1 and is_array(x[0])
    return x[0] if wrapped and np.ndim(x[0]) == len(entry.shape) else x


def _by_name(x: Mapping[str, Any], inputs: Sequence[Input]) -> list[Any]:
    for names in ([entry.name for entry in inputs], [entry.tensor for entry in inputs]):
        if set(names) == set(x):
            return [x[name] for name in names]
    raise ValueError(f"the network's inputs are {_names(inputs)}. Received: {', '.join(map(repr, x)) or 'none'}")


def _by_shape(arrays: Sequence[Any], inputs: Sequence[Input]) -> list[Any] | None:
    """For each input the only array that fits it; None where there are none, or several."""
    fitting = [[place for place, array in enumerate(arrays) if entry.fits(array)] for entry in inputs]
    decided = sorted(place for places in fitting for place in places) == list(range(len(arrays)))
    return [arrays[places[0]] for places in fitting] if decided and all(len(places) == 1 for places in fitting) else None


def _parts(x: Sequence[Any], count: int) -> list[Any]:
    """The elements of a list, or where these are not as many, or hold mappings, all arrays in it."""
    if len(x) == count and not any(isinstance(part, Mapping) for part in x):
        return list(x)
    return [leaf for part in x for leaf in _leaves(part)]


def _leaves(x: Any) -> list[Any]:
    if isinstance(x, Mapping):
        return [leaf for key in sorted(x) for leaf in _leaves(x[key])]
    if isinstance(x, list | tuple) and any(is_array(part) or isinstance(part, Mapping | list | tuple) for part in x):
        return [leaf for part in x for leaf in _leaves(part)]
    return [x]


def _with_paths(x: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A mapping whose mappings inside have become names with a slash."""
    flat: dict[str, Any] = {}
    for key, value in x.items():
        flat |= _with_paths(value, f"{prefix}{key}/") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def is_array(x: Any) -> bool:
    """Whether it is an array or tensor of any library. (Scalars of NumPy are numbers of a list.)"""
    return isinstance(x, np.ndarray) or (hasattr(x, "__array__") and getattr(x, "ndim", 0) > 0)


def _names(inputs: Sequence[Input]) -> str:
    return ", ".join(repr(entry.name) for entry in inputs)


def _shapes(arrays: Sequence[Any]) -> str:
    return ", ".join(str(np.shape(array)) for array in arrays)
