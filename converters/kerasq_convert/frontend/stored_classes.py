"""What a `.keras` or `.h5` file needs of its reader: lambdas, whose code is not run, and classes that are not registered here."""

from __future__ import annotations

import json
import pathlib
import zipfile
from collections.abc import Iterator
from typing import Any

_LONGEST = 64 << 20  # bytes of a configuration that is looked at
_EXPORT = "convert what model.export(folder) writes where the model was made"


def faults(path: pathlib.Path) -> list[str]:
    """Why Keras can't load a file, as far as the file's own configuration tells: one line for each lambda, function and class."""
    problems: dict[str, None] = {}
    try:
        for owner, role, entry in _parts(_configuration(path)):
            problem = _of_code(owner, role, entry) or _of_class(owner, entry)
            if problem:
                problems[problem] = None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, zipfile.BadZipFile):
        return []
    return list(problems)


def _of_code(owner: str, role: str, entry: dict[str, Any]) -> str | None:
    """What is wrong with a part that holds code: a Lambda layer, or a lambda in another layer."""
    kind, config = entry.get("class_name"), entry.get("config")
    if kind == "Lambda" and isinstance(config, dict) and _is_code(config.get("function")):
        subject, instead = f"layer {_name(entry)!r} (Lambda)", "a registered layer"
    elif role and role != "function" and _is_code(entry):
        subject, instead = f"a lambda, the {role} of {owner}", "a registered function"
    else:
        return None
    return f"{subject}: its code is in the file, and a file's code is not run: {_EXPORT}, or use {instead} instead"


def _of_class(owner: str, entry: dict[str, Any]) -> str | None:
    """What is wrong with a part whose class or function Keras does not find here."""
    import keras

    kind, config, module = entry.get("class_name"), entry.get("config"), entry.get("module")
    if not isinstance(kind, str) or (kind.startswith("__") and kind.endswith("__")):  # tensors, slices, lambdas
        return None
    registered = entry.get("registered_name") or kind
    if kind == "function" and isinstance(config, str):
        subject, registered = f"function {config!r}, used in {owner}", config if registered == kind else registered
    elif module is None and "registered_name" not in entry and hasattr(keras.ops, _in_words(kind)):
        return (
            f"keras.ops.{_in_words(kind)} ({_name(entry)!r}): an .h5 file doesn't tell what it was called with: save the model "
            f"with model.save('model.keras'), or {_EXPORT}"
        )
    else:
        where = f" of {module}" if module else f" (layer {_name(entry)!r})" if _name(entry) else ""
        subject = f"class {registered!r}{where}"
    if _is_of_keras(kind, module) or keras.saving.get_registered_object(registered) is not None:
        return None
    return (
        f"{subject}: it is not known here: register it with @keras.saving.register_keras_serializable() and import it before "
        "converting, or convert what model.export(folder) writes where it is known"
    )


def _is_of_keras(kind: str, module: str | None) -> bool:
    """Whether Keras has a class: by the module that the file names or, where it names none, among what models consist of."""
    import keras

    if module:
        return module.split(".")[0] == "keras"
    spaces = (keras, keras.layers, keras.models, keras.initializers, keras.regularizers, keras.constraints, keras.optimizers)
    return any(hasattr(space, kind) for space in (*spaces, keras.dtype_policies, keras.losses, keras.metrics)) or kind in _INNER


_INNER = ("Functional", "DTypePolicy", "Policy", "TensorShape", "TFOpLambda", "SlicingOpLambda")  # written, but not public


def _in_words(kind: str) -> str:
    """The function of keras.ops that a class computes: LogSoftmax is log_softmax."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in kind).lstrip("_")


def _is_code(value: Any) -> bool:
    """Whether a part of a configuration is a function as Keras writes those without a name: marshalled code, and its defaults."""
    if not isinstance(value, dict):
        return isinstance(value, list) and len(value) == 3 and isinstance(value[0], str)  # Keras 2
    if "class_name" in value:
        return value["class_name"] == "__lambda__" or value.get("config") == "<lambda>"
    return _is_code(value.get("value"))


def _name(entry: dict[str, Any]) -> str | None:
    config = entry.get("config")
    return config.get("name") if isinstance(config, dict) else None


def _configuration(path: pathlib.Path) -> Any:
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive, archive.open("config.json") as file:
            return json.loads(file.read(_LONGEST))
    import h5py

    with h5py.File(path) as file:
        return json.loads(file.attrs["model_config"])


def _parts(value: Any, owner: str = "the model", role: str = "") -> Iterator[tuple[str, str, dict[str, Any]]]:
    """All parts of a configuration that name a class or hold code: whose they are, as what, and the part."""
    if isinstance(value, dict):
        if ("class_name" in value and "config" in value) or _is_code(value):
            yield owner, role, value
        if _name(value):
            owner = f"layer {_name(value)!r}"
        for key, inner in value.items():
            if key != "compile_config":  # not loaded
                yield from _parts(inner, owner, role if key == "config" else key)
    elif isinstance(value, list):
        for inner in value:
            yield from _parts(inner, owner, role)
