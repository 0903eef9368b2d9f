"""What a `.keras` or `.h5` file needs of its reader: lambdas, whose code is not run, and classes that are not registered here."""

from __future__ import annotations

import json
import pathlib
import zipfile
from collections.abc import Iterator
from typing import Any

_LONGEST = 64 << 20  # bytes of a configuration that is looked at


def faults(path: pathlib.Path) -> list[str]:
    """Why Keras can't load a file, as far as the file's own configuration tells: one line for each lambda and each class."""
    import keras

    problems: dict[str, None] = {}
    try:
        for entry in _entries(_configuration(path)):
            kind, config = entry["class_name"], entry.get("config")
            name = config.get("name") if isinstance(config, dict) else None
            if kind == "Lambda" and "lambda" in json.dumps(config.get("function") if isinstance(config, dict) else None):
                problems[
                    f"layer {name!r} (Lambda): its code is in the file, and a file's code is not run: convert what "
                    "model.export(folder) writes where the model was made, or use a registered layer instead"
                ] = None
                continue
            known = hasattr(keras.layers, kind) or str(entry.get("module") or "keras").split(".")[0] == "keras"
            registered = entry.get("registered_name") or kind
            if not known and keras.saving.get_registered_object(registered) is None:
                problems[
                    f"class {registered!r} of {entry.get('module') or 'the model'}: it is not known here: register it with "
                    "@keras.saving.register_keras_serializable() and import it before converting, or convert what "
                    "model.export(folder) writes where it is known"
                ] = None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, zipfile.BadZipFile):
        return []
    return list(problems)


def _configuration(path: pathlib.Path) -> Any:
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive, archive.open("config.json") as file:
            return json.loads(file.read(_LONGEST))
    import h5py

    with h5py.File(path) as file:
        return json.loads(file.attrs["model_config"])


def _entries(value: Any) -> Iterator[dict[str, Any]]:
    """All parts of a configuration that name a class."""
    if isinstance(value, dict):
        if isinstance(value.get("class_name"), str) and "config" in value:
            yield value
        for inner in value.values():
            yield from _entries(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _entries(inner)
