"""The one front end: any model becomes a frozen TensorFlow graph, and that becomes the converter's graph."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

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
    with saved_model(source, sizes) as (folder, order):
        graph = import_graph(freeze(folder, name, signature, sizes), name)
    if sorted(order) == sorted(graph.inputs):
        graph = dataclasses.replace(graph, inputs={name: graph.inputs[name] for name in order})
    return graph
