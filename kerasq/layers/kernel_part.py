"""The kernels of a kind of layer, by the attributes that belong to them."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class KernelPart:
    """A kernel of a layer; every field is the name of an attribute.

    Attributes:
        latent: Of the variable that Keras trains and saves.
        quantizer: Of its quantizer, also the layer's argument.
        state: Of what that learns.
        channels_last: Of the method that gives the kernel as a quantizer sees it: output channels on the last axis.
        as_kernel: Of the inverse of that.
    """

    latent: str
    quantizer: str
    state: str
    channels_last: str = "output_channels_last"
    as_kernel: str = "as_kernel"


KERNEL = KernelPart("kernel", "kernel_quantizer", "kernel_state")
