"""What the converter prefers where it is free to choose: the values of the option `prefer`."""

from __future__ import annotations

import enum


class Preference(enum.StrEnum):
    """What kernels with multipliers are made for."""

    ACCURACY = "accuracy"  # the full range of 8 bits
    SPEED = "speed"  # weights that AVX2 multiplies in 16 bits, where that costs at most 0.1 dB at the outputs
