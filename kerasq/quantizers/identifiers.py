"""What stands for a quantizer in the arguments of a layer: the object, its class, its name, its config."""

from __future__ import annotations

from typing import Any

import keras

from kerasq.quantizers.base import Quantizer

# None: values stay as they are.
QuantizerLike = Quantizer | type[Quantizer] | str | dict[str, Any] | None


def get(identifier: QuantizerLike, name: str = "identifier") -> Quantizer | None:
    """The quantizer that `identifier` stands for.

    Args:
        identifier: A quantizer; its class or its name, for one with the default arguments; what
            `keras.saving.serialize_keras_object` made of one; or `None`, for no quantizer. Names are `"BinaryWeight"` or
            `"binary_weight"`, and for quantizers of one's own those they are registered by: `"mine>Halves"`.
        name: Name of the argument, for the error.

    Raises:
        ValueError: `identifier` is none of these.

    Example:

    >>> kerasq.quantizers.get("fixed_point")
    FixedPoint(bits=8, frac_bits=4, signed=True, straight_through='fine_grained')
    """
    quantizer: Any = identifier
    if isinstance(identifier, dict) and "class_name" in identifier:
        quantizer = keras.saving.deserialize_keras_object(identifier)
    elif isinstance(identifier, str):
        quantizer = _registered(identifier)
    if isinstance(quantizer, type) and issubclass(quantizer, Quantizer):
        quantizer = quantizer()
    if (quantizer is None and identifier is not None) or not isinstance(quantizer, Quantizer | None):
        raise ValueError(
            f"`{name}` must be a quantizer: an object or a class that derives from `kerasq.quantizers.Quantizer`, the name of "
            f'one that is registered with Keras ("BinaryWeight", or "package>Name" for one\'s own), its config, or None. '
            f"Received: {name}={identifier!r}"
        )
    return quantizer


def _registered(name: str) -> Any:
    """The class that is registered with Keras by `name`, whose package may be left out if it is kerasq; else `None`."""
    ours = name if name[:1].isupper() else "".join(part.capitalize() for part in name.split("_"))
    return keras.saving.get_registered_object(name) or keras.saving.get_registered_object(f"kerasq>{ours}")
