"""The one front end: any model becomes a frozen TensorFlow graph, and that becomes the converter's graph."""

from __future__ import annotations

import os
import pathlib
from typing import Any

from kerasq_convert.errors import ConversionError
from kerasq_convert.frontend.ends import in_model_order, read_ends, with_names
from kerasq_convert.frontend.frozen import freeze
from kerasq_convert.frontend.importer import import_graph
from kerasq_convert.frontend.input_sizes import InputSizes
from kerasq_convert.frontend.sources import saved_model
from kerasq_convert.graph import Graph


def read_model(source: Any, signature: str | None = None, sizes: InputSizes | None = None) -> Graph:
    """The graph of a model.

    Args:
        source: Path of a SavedModel folder, a `.keras` or an `.h5` file; or a `keras.Model`.
        signature: Name of the signature to convert, where a SavedModel has several; `None` for the serving one.
        sizes: Those of inputs whose sizes the model leaves open.

    Raises:
        ConversionError: The model can't be read, or holds what can't be converted; every such layer is listed.
    """
    name = os.fspath(source) if isinstance(source, str | os.PathLike) else f"model {getattr(source, 'name', source)!r}"
    with saved_model(source, sizes) as (folder, names, origins):
        is_exported = not (isinstance(source, str | os.PathLike) and pathlib.Path(source).is_dir())
        try:
            frozen = freeze(folder, name, signature, None if is_exported else sizes)  # exported in the sizes that were given
            ends = read_ends(folder, list(frozen.inputs), list(frozen.outputs), signature)
            graph = with_names(import_graph(in_model_order(frozen, ends, names), name, origins), ends)
        except ConversionError as error:
            raise origins.with_states(name, error) from None
        if origins.states:
            raise origins.with_states(name, ConversionError(name, ()))
        return graph
