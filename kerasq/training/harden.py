"""harden: what a network computes with no longer depends on how a machine rounds."""

from __future__ import annotations

import keras

from kerasq.nested import quantized_kernels


def harden(model: keras.Model) -> int:
    """Gives every latent kernel the quantized values that the model computes with: at the end of a training, before it is saved.

    A quantizer decides: which sign, which of two neighbours, which factor of a channel has the least error. Training drives
    latent weights towards such thresholds, where the last bit of a sum decides, and sums are rounded differently by every
    backend, processor and compiler: a network of 4 bits measured a point less on another backend. Quantized values are far
    from every threshold, and quantized to themselves (but for the last bit of a factor). So do this where the network was
    validated, and re-estimate the statistics of batch normalization then (`kerasq.callbacks.ReestimateBatchNorm`).

    Kernels whose quantizer learns a position stay as they are; so does one that would be quantized otherwise then, as a negative
    factor that is learned turns signs around. Training can go on, from the quantized values.

    Args:
        model: A Keras model; its kernels are changed in place.

    Returns:
        The number of kernels that were replaced.

    Example:

    >>> kerasq.training.harden(model)
    >>> model.save("model.keras")
    """
    count = 0
    for layer, part in quantized_kernels(model):
        quantizer, state = getattr(layer, part.quantizer), getattr(layer, part.state)
        if state is not None and quantizer.alpha_at(state.values) is None:
            continue
        latent, values = getattr(layer, part.latent), layer.quantize_kernel(part)
        before = keras.ops.convert_to_numpy(latent)
        latent.assign(values)
        if state is None or bool(keras.ops.all(layer.quantize_kernel(part) == values)):
            count += 1
        else:
            latent.assign(before)
    return count
