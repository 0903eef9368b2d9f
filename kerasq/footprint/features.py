"""What the work of an operator on a microcontroller is made of: counts that instructions are a weighted sum of.

A kernel is some loops inside one another, so its instructions are what each loop takes times how often it is entered. These are
counts of loops that kernels have: over pixels, channels, taps inside the input, products, blocks of four or eight pixels ...
Which of them a kernel has, and what each costs, is fitted to what it took on a simulated processor (examples/cortex_m/fit.py).
"""

from __future__ import annotations

import math

from kerasq.format.model import Model, Operator, OperatorKind
from kerasq.ops import TABLE, operand

_LARGE = 1 << 23  # sums that faster forms of some kernels have no bits for
_WEIGHTED = (OperatorKind.CONV_2D, OperatorKind.DENSE)


def features(model: Model, operator: Operator) -> dict[str, float]:
    """The counts of an operator, by name; those of an operator of another kind have other names."""
    inputs = [tensor for tensor in model.operands(operator) if tensor is not None and not tensor.is_constant]
    output = model.output(operator)
    channels, elements = output.shape[-1], math.prod(output.shape)
    pixels = elements // channels
    counts = {
        "calls": 1.0,
        "channels": channels,
        "pixels": pixels,
        "values": elements,
        "values from 16 bits": elements * any(tensor.format.bits == 16 for tensor in inputs),
        "values of 16 bits": elements * (output.format.bits == 16),
        "values in fours": math.ceil(channels / 4) * pixels,
    }
    if operator.kind in _WEIGHTED:
        return counts | _weighted(model, operator, pixels, channels)
    if operator.kind in (OperatorKind.MAX_POOL_2D, OperatorKind.AVERAGE_POOL_2D):
        taps, inside, _, whole = _taps(model, operator)
        return counts | {
            "taps": pixels * taps,
            "taps inside": inside,
            "pixels at borders": pixels - whole,
            "values of taps": inside * channels,
            "values of taps in fours": inside * math.ceil(channels / 4),
        }
    if operator.kind is OperatorKind.ARGMAX:
        scores = math.prod(inputs[0].shape)
        return counts | {"scores": scores, "scores of 16 bits": scores * (inputs[0].format.bits == 16)}
    if operator.kind is OperatorKind.GATHER:
        table = operand(model, operator, "table")
        assert table is not None
        copied = table.format == output.format and operator.clamp is None
        rows = math.prod(inputs[0].shape)
        return counts | {"rows": rows, "rows copied": rows * copied, "values not copied": elements * (not copied)}
    if operator.kind is OperatorKind.NORMALIZE:
        together = math.prod(operator.window) if operator.groups > 1 else 1  # pixels of a run that lie apart
        runs = elements // (math.prod(operator.window) * channels // operator.groups)
        is_wide = max(inputs[0].format.bits, output.format.bits) > 8
        return counts | {"runs": runs, "pixels of runs": runs * together, "values not in 8 bits": elements * is_wide}
    return counts | {"inputs": len(inputs), "rows of inputs": len(inputs) * pixels, "inputs beyond one": len(inputs) - 1}


def fitted_name(kernel: str, operator: Operator) -> str:
    """What the costs of a kernel are called for an operator: those in groups, depthwise ones mostly, have their own."""
    return f"{kernel} in groups" if operator.groups > 1 else kernel


def _weighted(model: Model, operator: Operator, pixels: int, channels: int) -> dict[str, float]:
    """Of a convolution or Dense layer."""
    kernel, multiplier, bias, addend = (operand(model, operator, name) for name in ("kernel", "multiplier", "bias", "addend"))
    assert kernel is not None
    output, source = model.output(operator), model.tensors[next(iter(operator.inputs))]
    is_dense = operator.kind is OperatorKind.DENSE
    taps, inside, runs, whole = (1, pixels, pixels, pixels) if is_dense else _taps(model, operator)
    inputs, groups, border = kernel.shape[-1], operator.groups, pixels - whole
    window = taps * inputs  # values that an output is a sum of
    fours, eights = (math.ceil(pixels / size) * size for size in (4, 8))
    turn = 32 // min(kernel.format.bits, 32)  # weights of a word
    turns, apart = math.ceil(window / turn), inputs * groups % turn != 0
    words, pairs, values = math.ceil(window / 4), math.ceil(channels / 2), pixels * channels
    rows = pixels // output.shape[-2]
    ragged_inputs, ragged = inputs * groups % 4 != 0, channels % 4 != 0
    largest = float(kernel.magnitudes.max()) * max(-source.format.min_int, source.format.max_int)
    return {
        "values with multiplier": values * (multiplier is not None),
        "values with addend": values * (addend is not None),
        "values with addend, ragged": values * (addend is not None and ragged),
        "values with total of 64 bits": values * (operator.total_bits > 32),
        "values with clamp": values * (operator.clamp is not None),
        "values, ragged": values * ragged,
        "channels with multiplier": channels * (multiplier is not None),
        "channels with bias": channels * (bias is not None),
        "groups": groups,
        "weights": channels * window,
        "weights in words": channels * words,
        "rows": rows,
        "rows of channels": rows * channels,
        "columns of channels": pixels // rows * channels,
        "taps": pixels * taps,
        "taps, ragged": pixels * taps * ragged_inputs,
        "taps at borders": border * taps,
        "taps inside": inside,
        "taps of channels": inside * channels,
        "runs of channels": runs * channels,
        "pixels at borders": border,
        "values at borders": border * channels,
        "pixels of 1x1": pixels * (taps == 1),
        "gathered": pixels * window * groups,
        "gathered, ragged": pixels * window * groups * ragged_inputs,
        "gathered at borders": border * window * groups,
        "gathered for 1x1": pixels * window * (taps == 1),
        "gathered in fours": fours * words * groups,
        "gathered in eights": eights * words * groups,
        "products": values * window,
        "products inside": inside * inputs * channels,
        "products of fours": fours * channels * words,
        "products of fours and pairs": fours * pairs * 2 * words,
        "products of eights": eights * channels * words,
        "products of pairs": pixels * pairs * 2 * words,
        "products beyond fours": pixels % 4 * channels * words,
        "products beyond eights": pixels % 8 * channels * words,
        "blocks beyond fours": pixels % 4 * channels,
        "blocks beyond eights": pixels % 8 * channels,
        "gathered beyond fours": pixels % 4 * words * groups,
        "gathered beyond eights": pixels % 8 * words * groups,
        "products of large sums": values * window * (largest >= _LARGE),
        "products at the end": fours * pairs * 2 * (words % 4),
        "products at the end of inputs": inside * channels * (inputs % 4),
        "blocks of fours": fours / 4 * channels,
        "blocks of fours and pairs": fours / 4 * pairs,
        "blocks of eights": eights / 8 * channels,
        "turns of fours": fours / 4 * channels * turns,
        "gathered in turns of fours": fours * turns,
        "turns beyond fours": pixels % 4 * channels * turns,
        "gathered in turns beyond fours": pixels % 4 * turns,
        "taps, not of turns": pixels * taps * apart,
        "gathered, not of turns": pixels * window * apart,
        "bytes of ragged turns": channels * math.ceil(window * kernel.format.bits / 8) * (window % turn != 0),
        "words of taps": eights * taps * math.ceil(inputs / 32) * channels,
        "words of taps of 8": eights * taps * math.ceil(inputs / 8) * channels,
    }


def _taps(model: Model, operator: Operator) -> tuple[int, int, int, int]:
    """Taps of the window; of all pixels, how many taps and rows of taps lie inside the input; and how many pixels have all."""
    source = model.tensors[next(iter(operator.inputs))].shape
    result = model.output(operator).shape
    window = TABLE[operator.kind].window(model, operator)
    counts = []
    for axis in (0, 1):
        step, dilation, size = operator.strides[axis], operator.dilations[axis], source[1 + axis]
        first = [pixel * step - operator.padding[2 * axis] for pixel in range(result[1 + axis])]
        counts.append([sum(0 <= start + tap * dilation < size for tap in range(window[axis])) for start in first])
    down, right = counts
    whole = down.count(window[0]) * right.count(window[1])
    return math.prod(window), sum(down) * sum(right), sum(down) * len(right), whole
