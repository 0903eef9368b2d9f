"""Every way in leads to a SavedModel: a folder, a .keras or .h5 file, or a live model."""

from __future__ import annotations

import contextlib
import gc
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from kerasq.files import temporary_folder
from kerasq.quiet import import_quietly
from kerasq_convert.errors import ConversionError, first_line
from kerasq_convert.frontend.exporting import export
from kerasq_convert.frontend.input_sizes import InputSizes
from kerasq_convert.frontend.origins import Origins
from kerasq_convert.frontend.stored_classes import faults


@contextlib.contextmanager
def saved_model(source: Any, sizes: InputSizes | None = None) -> Iterator[tuple[pathlib.Path, list[str], Origins]]:
    """The SavedModel folder of a model (a temporary one where it is none already), the names of its inputs, and its origins.

    The names are those of the Keras model's inputs, in its order; none where only the folder is known.

    Args:
        source: Path of a SavedModel folder, of a `.keras` or of an `.h5` file, or a `keras.Model`.
        sizes: Those of inputs whose sizes the model leaves open.

    Raises:
        ConversionError: There is no such model, or it can't be loaded or exported.
    """
    if isinstance(source, str | os.PathLike):
        path = pathlib.Path(source)
        if path.is_dir():
            yield _checked_folder(path), [], Origins()
            return
        model = load_keras_file(path)
    else:
        model = source
    with temporary_folder() as folder:
        origins = export(model, str(folder / "model"), sizes or InputSizes())
        names, is_ours, model = _input_names(model), model is not source, None
        if is_ours:
            gc.collect()  # the weights are in the folder now, and need not be in memory twice
        yield folder / "model", names, origins


def _checked_folder(path: pathlib.Path) -> pathlib.Path:
    if not (path / "saved_model.pb").is_file():
        raise ConversionError(
            str(path),
            ["this folder holds no saved_model.pb: name what model.export(folder) wrote, or a .keras or .h5 file"],
        )
    import_quietly("tensorflow")
    return path


def load_keras_file(path: pathlib.Path) -> Any:
    """The Keras model in a `.keras` or `.h5` file, Keras 2's included, without its optimizer."""
    if not path.exists():
        raise ConversionError(str(path), ["there is no such file or folder"])
    if path.suffix not in (".keras", ".h5", ".hdf5"):
        raise ConversionError(
            str(path), ["a model is a SavedModel folder, a .keras file or an .h5 file; rename the file if it is one of them"]
        )
    import_quietly("keras")
    import keras

    import kerasq.layers  # noqa: F401  (registers the classes that the file may name)

    class DepthwiseConv2D(keras.layers.DepthwiseConv2D):
        """Keras 2 wrote `groups` into the configuration, which Keras 3 no longer accepts; it was always 1."""

        def __init__(self, *args: Any, groups: int = 1, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)

    legacy = {"DepthwiseConv2D": DepthwiseConv2D} if path.suffix != ".keras" else {}
    try:
        return keras.models.load_model(path, custom_objects=legacy, compile=False)
    except Exception as error:
        raise ConversionError(
            str(path),
            faults(path)
            or [
                f"Keras can't load it ({first_line(error)}). A file of weights only needs its model: build it, call "
                "load_weights, and convert the model itself or its export; a class of your own must be registered and imported"
            ],
        ) from error


def _input_names(model: Any) -> list[str]:
    try:
        return [tensor.name for tensor in model.inputs]
    except (AttributeError, TypeError, ValueError):  # a subclassed model has no symbolic inputs
        return []
