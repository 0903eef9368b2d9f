"""A Keras model as a SavedModel of what it computes in inference.

`model.export` leaves `training` open, and augmentation layers take that for `True`: what they draw at random would be in the
graph. Here the model is called as `predict` calls it, so that they are what they are in inference: nothing.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
from collections.abc import Iterator
from typing import Any

from kerasq.nested import all_layers
from kerasq_convert.errors import ConversionError, first_line
from kerasq_convert.frontend.input_sizes import InputSizes
from kerasq_convert.frontend.origins import Origins
from kerasq_convert.frontend.reasons import OF_WORDS, reason_by_class

_ARGUMENT = re.compile(r"(?!self$)[A-Za-z0-9][A-Za-z0-9_.-]*")  # of a function of TensorFlow


def export(model: Any, folder: str | os.PathLike, sizes: InputSizes) -> Origins:
    """Writes the SavedModel of a Keras model into `folder`, and tells where its operations come from.

    Its inputs are as large as `sizes` says where the model leaves that open.

    Raises:
        ConversionError: Keras can't export it, runs on another backend than TensorFlow, or has an input of unknown size.
    """
    name = getattr(model, "name", type(model).__name__)
    _require_tensorflow(name)
    import tensorflow as tf

    origins = Origins(_states(model))
    try:
        signature = _with_usable_names(_sized(name, _signature(model), sizes))
        serve = tf.function(lambda *inputs: _unnested(model(*inputs, training=False)), signature, autograph=False)
        with origins.recording(model), _silence():
            _require_numbers(name, origins)
            served = serve.get_concrete_function()
            archive = tf.Module()  # as Keras' own, which would trace the function once more; of the variables only those read
            archive.serve, archive.weights = served, list(served.variables)
            tf.saved_model.save(archive, str(folder), signatures={"serve": served, "serving_default": served})
    except ConversionError as error:
        raise origins.with_states(f"model {name!r}", error) from None
    except Exception as error:
        if origins.states:
            raise ConversionError(f"model {name!r} can't be converted", origins.states.values()) from error
        hint = "" if getattr(model, "built", True) else ". A model without keras.Input must have been called once"
        raise ConversionError(f"model {name!r}", [f"Keras can't export it ({first_line(error)}){hint}"]) from error
    return origins


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Of what TensorFlow's log tells of the artifact, and of what layers print while they are traced."""
    import tensorflow as tf

    log = tf.get_logger()
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        log.setLevel(level)


def _unnested(outputs: Any) -> Any:
    """What a model returns as a signature can hold it: a tensor, a list of tensors, or a dict of them by path, as `boxes/0`."""
    import keras

    if not isinstance(outputs, dict):
        return keras.tree.flatten(outputs) if isinstance(outputs, list | tuple) else outputs
    leaves: dict[str, Any] = {}
    for key, value in outputs.items():
        inner = dict(enumerate(value)) if isinstance(value, list | tuple) else value
        leaves |= {f"{key}/{path}": leaf for path, leaf in _unnested(inner).items()} if isinstance(inner, dict) else {key: value}
    return leaves


def _require_numbers(name: str, origins: Origins) -> None:
    """Refuses a model with layers of words, together with whatever else of it is refused by its class."""
    layers = list(origins.layers())
    if any(layer.kind in OF_WORDS for layer in layers):
        problems = [f"{layer.subject}: {reason}" for layer in layers if (reason := reason_by_class(layer.kind))]
        raise ConversionError(f"model {name!r} can't be converted", problems)


def _require_tensorflow(name: str) -> None:
    import keras

    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ConversionError(
            f"model {name!r}",
            [
                f"Keras runs on {backend} here, and conversion needs its TensorFlow backend: save it with "
                "model.save('model.keras') and run `kerasq-convert model.keras`, which loads it with TensorFlow; or start "
                "Python with KERAS_BACKEND=tensorflow"
            ],
        )


def _states(model: Any) -> dict[str, str]:
    """Why recurrent layers are refused that go on, in each call, from where the last one ended: what is converted starts anew."""
    import keras

    layers = [layer for layer in all_layers(model) if isinstance(layer, keras.layers.RNN) and layer.stateful]
    subjects = {f"layer {layer.name!r}": type(layer).__name__ for layer in layers}
    reason = "a state from one call to the next (stateful=True) is not supported"
    remedy = "build it with stateful=False, which reads a whole sequence in a call"
    return {subject: f"{subject} ({kind}): {reason}: {remedy}" for subject, kind in subjects.items()}


def _signature(model: Any) -> list[Any]:
    """The arguments of a call of the model, as `tf.TensorSpec`s with the batch open."""
    import keras

    if isinstance(model, keras.Sequential):
        return [_spec(tensor.shape, tensor.dtype, tensor.name) for tensor in model.inputs]
    if getattr(model, "inputs", None):
        return [keras.tree.map_structure(lambda tensor: _spec(tensor.shape, tensor.dtype, tensor.name), model.input)]
    built = model.get_build_config() or {}
    shapes = [built["input_shape"]] if "input_shape" in built else list(built.get("shapes_dict", {}).values())
    if not shapes:
        raise ValueError("it has never been called, so the shapes of its inputs are unknown")
    return [_specs(shape, model.input_dtype) for shape in shapes]


def _sized(name: str, signature: list[Any], sizes: InputSizes) -> list[Any]:
    """The arguments with every size fixed but the batch."""
    import keras
    import tensorflow as tf

    specs = keras.tree.flatten(signature)
    keys = [spec.name or f"input {number}" for number, spec in enumerate(specs)]
    declared = {key: None if spec.shape.rank is None else spec.shape[1:].as_list() for key, spec in zip(keys, specs, strict=True)}
    fixed = sizes.fixed(f"model {name!r}", declared)
    sized = [tf.TensorSpec((None, *fixed[key]), spec.dtype, spec.name) for key, spec in zip(keys, specs, strict=True)]
    return keras.tree.pack_sequence_as(signature, sized)


def _with_usable_names(signature: list[Any]) -> list[Any]:
    """The arguments under counted names where TensorFlow, to which "a b" and "A_b" are the same, can't use their own."""
    import keras
    import tensorflow as tf

    specs = keras.tree.flatten(signature)
    names = [spec.name for spec in specs if spec.name]
    different = {re.sub(r"\W", "_", name, flags=re.ASCII).lower() for name in names}
    if len(different) == len(names) and all(map(_ARGUMENT.fullmatch, names)):
        return signature
    renamed = [tf.TensorSpec(spec.shape, spec.dtype, f"input_{position}") for position, spec in enumerate(specs)]
    return keras.tree.pack_sequence_as(signature, renamed)


def _specs(shape: Any, dtype: str) -> Any:
    """Specs in the structure of a subclassed model's argument: a shape, or a list or dictionary of such."""
    if isinstance(shape, dict):
        return {name: _specs(inner, dtype) for name, inner in shape.items()}
    if all(size is None or isinstance(size, int) for size in shape):
        return _spec(shape, dtype)
    return [_specs(inner, dtype) for inner in shape]


def _spec(shape: Any, dtype: str, name: str | None = None) -> Any:
    import tensorflow as tf

    return tf.TensorSpec((None, *shape[1:]), dtype, name)
