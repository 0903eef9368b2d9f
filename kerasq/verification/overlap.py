"""Where an operator's output may lie over an input that nobody needs afterwards.

Every kernel computes its output in raster order, a pixel at a time and the channels of a pixel in order (or reads more of its
input, up to all of it, before it writes: that is as safe). With `start(n)` the first byte of the input under the window of
pixel n, and s bytes per output pixel, nothing that is still to be read is overwritten if the output begins D bytes or more
below the input, where

    (n + 1) s - D <= start(m)    for every pixel n and every m >= n

m = n is among them, since one channel is written before the next one reads the same window. For pixel n = r W + c, W the
output's width, `start(n) = rows(r) + columns(c)`, the first bytes of row max(0, r stride - padding) and of column
max(0, c stride - padding). Both grow, so the smallest start(m) is start(n) itself or that of the next row's first pixel, r + 1.
The latter asks for W (r + 1) s - rows(r + 1) <= D, which pixel (r + 1, 0) asks for too, and more. What is left splits:

    D = max over r of (r W s - rows(r))  +  max over c of ((c + 1) s - columns(c))

A pooling and a depthwise convolution read, for a channel, that channel only: of pixel n's own window those before are free, and
those behind begin as far behind the window's start. With sx and sy bytes per value of input and output and C channels,

    n C sy + (k + 1) sy - D <= start(n) + (k + 1) sx  for the channels k < C - 1,    (n + 1) C sy - D <= start(m)  for m > n

and D is the sum above with c s in place of (c + 1) s, plus (C - 1) max(0, sy - sx). An element-wise operator is the same of one
row with no window: D = (elements - 1) max(0, sy - sx), 0 where the output's values are no wider, so that it may take the
input's place. A Dense layer reads everything for every output, CONCAT and TRANSPOSE write in another order than they read, MUL
reads one value per channel for every pixel: their outputs lie elsewhere. NORMALIZE reads a run of values before it writes the
first of them: where the values of a run lie side by side it is as an element-wise operator, else its output lies elsewhere. Which
of these an operator is, its row in kerasq.ops says, operand by operand (`Operand.overlap`).

Each maximum is one of r a - b max(0, r stride - padding): a line less a convex function, hence largest at an end or on either
side of the kink. The C runtime has the same in kq_overlap.c.
"""

from __future__ import annotations

from kerasq import ops
from kerasq.format.model import Model, Operator, Tensor
from kerasq.ops import Operand, Overlap


def distance(model: Model, operator: Operator, index: int) -> int | None:
    """D: by how many bytes the output must begin below an input that dies with the operator, to be allowed to overlap it.

    Args:
        operator: One without problems (kerasq.ops).
        index: Of an activation that it reads, maybe more than once.

    Returns:
        The bytes; `None` where the output must not touch the input.
    """
    operands = [operand for operand, other in ops.TABLE[operator.kind].listed(operator) if other == index]
    distances = [_operand_distance(model, operator, operand, model.tensors[index]) for operand in operands]
    allowed = [below for below in distances if below is not None]
    return max(allowed) if operands and len(allowed) == len(operands) else None


def _operand_distance(model: Model, operator: Operator, operand: Operand, x: Tensor) -> int | None:
    y = model.output(operator)
    match operand.overlap:
        case Overlap.ELEMENT_WISE if _elements(x) == _elements(y):  # else a value per channel, read for every pixel
            return _beside_values(x, y, _elements(y))
        case Overlap.GROUP if operator.groups == 1 or operator.window == (1, 1):
            return _beside_values(x, y, _elements(y))
        case Overlap.WINDOW:
            return _window_distance(operator, x, y, by_channel=operator.groups == x.shape[3] == y.shape[3])
        case Overlap.WINDOW_OF_CHANNEL:
            return _window_distance(operator, x, y, by_channel=True)
    return None


def _elements(tensor: Tensor) -> int:
    return tensor.nbytes // _value_bytes(tensor)


def _value_bytes(tensor: Tensor) -> int:
    return tensor.format.bits // 8


def _beside_values(x: Tensor, y: Tensor, values: int) -> int:
    """What wider values of the output add over `values` of them that follow each other."""
    return (values - 1) * max(0, _value_bytes(y) - _value_bytes(x))


def _window_distance(operator: Operator, x: Tensor, y: Tensor, by_channel: bool) -> int:
    _, height, width, channels = y.shape
    pixel, x_pixel = channels * _value_bytes(y), x.shape[3] * _value_bytes(x)
    rows = _largest(height, width * pixel, x.shape[2] * x_pixel, operator.strides[0], operator.padding[0])
    columns = _largest(width, pixel, x_pixel, operator.strides[1], operator.padding[2])
    own = _beside_values(x, y, channels) if by_channel else pixel
    return rows + columns + own


def _largest(count: int, gain: int, loss: int, stride: int, padding: int) -> int:
    """The largest of i gain - loss max(0, i stride - padding) for 0 <= i < count."""
    kink = padding // stride
    places = (0, min(kink, count - 1), min(kink + 1, count - 1), count - 1)
    return max(i * gain - loss * max(0, i * stride - padding) for i in places)
