"""Shapes: a generated set of 32x32 colour images in ten classes, for examples and tests without a download.

Every image shows one filled shape of random place, size, orientation and colour over a background with a gradient, a
checker texture, small distractors and noise. Colours are drawn alike for all classes and all shapes have the same
distribution of areas, so neither colour nor brightness tells the class; place and orientation vary, so neither does a
linear function of the pixels. Convolutions do.

The pixels are made with additions, multiplications, square roots and integer random numbers only: the same seed gives the
same bytes on every machine and NumPy version.

Example:

>>> (x_train, y_train), (x_test, y_test) = load_data()
>>> x_train.shape, x_train.dtype, CLASSES[y_train[0]]
((10000, 32, 32, 3), dtype('uint8'), 'star')
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

CLASSES = ("circle", "ring", "square", "triangle", "cross", "star", "crescent", "stripes", "hourglass", "chevron")
SIZE = 32
MIN_AREA, MAX_AREA = 90.0, 220.0  # of a shape, in pixels
NOISE = 12  # largest deviation of a pixel
_CHUNK = 50  # images drawn at a time: small enough for the cache

Split = tuple[np.ndarray, np.ndarray]


def load_data(train: int = 10_000, test: int = 2_000, seed: int = 1) -> tuple[Split, Split]:
    """Generates the images: `(x_train, y_train), (x_test, y_test)`.

    Args:
        train: Number of training images.
        test: Number of test images; they don't depend on `train`.
        seed: Seed, 0 or more: other seeds give other images.

    Returns:
        Images as uint8 arrays `(n, 32, 32, 3)`, labels as int64 arrays `(n,)` in random order, as many of each class (one more
        of some where 10 does not divide n).

    Raises:
        ValueError: A number is negative.
    """
    for name, value in (("train", train), ("test", test), ("seed", seed)):
        if value < 0:
            raise ValueError(f"`{name}` must be 0 or more. Received: {name}={value}")
    return _split(train, np.random.default_rng((seed, 0))), _split(test, np.random.default_rng((seed, 1)))


def _split(count: int, rng: np.random.Generator) -> Split:
    labels = np.arange(count, dtype=np.int64) % len(CLASSES)
    rng.shuffle(labels)
    images = np.empty((count, SIZE, SIZE, 3), np.uint8)
    for start in range(0, count, _CHUNK):
        images[start : start + _CHUNK] = _draw(labels[start : start + _CHUNK], rng)
    return images, labels


def _draw(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Images of the classes `labels`, uint8 `(n, SIZE, SIZE, 3)`."""
    count = len(labels)
    axis = np.arange(SIZE, dtype=np.float32)
    x, y = axis[None, None, :], axis[None, :, None]
    background, foreground = _colours(count, rng)
    canvas = background[:, None, None, :] + _texture(count, x, y, rng)[..., None]
    for _ in range(3):
        radius = _uniform(rng, 1.0, 2.5, count)
        centre_x, centre_y = _uniform(rng, 0, SIZE, count), _uniform(rng, 0, SIZE, count)
        distance = np.maximum(np.abs(x - centre_x), np.abs(y - centre_y)) - radius
        _paint(canvas, distance, _uniform(rng, 0, 255, count, 3))
    _paint(canvas, _distances(labels, x, y, rng), foreground)
    canvas += rng.integers(-NOISE, NOISE + 1, canvas.shape, dtype=np.int8)
    return np.clip(canvas, 0, 255).astype(np.uint8)


def _uniform(rng: np.random.Generator, low: float, high: float, count: int, channels: int = 0) -> np.ndarray:
    """Uniform numbers in 2^16 steps, shaped to broadcast over the pixels of `count` images (or their channels)."""
    shape = (count, channels) if channels else (count, 1, 1)
    return (low + (high - low) / 65536 * rng.integers(0, 65536, shape)).astype(np.float32)


def _colours(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two colours per image with a contrast of at least 70 in some channel, either the brighter."""
    first, second = _uniform(rng, 40, 215, count, 3), _uniform(rng, 40, 215, count, 3)
    channel = np.arange(3) == rng.integers(0, 3, (count, 1))
    contrast = np.where(first < 128, _uniform(rng, 70, 130, count, 3), -_uniform(rng, 70, 130, count, 3))
    second = np.where(channel, first + contrast, second)
    swap = rng.integers(0, 2, (count, 1)) == 1
    return np.where(swap, second, first), np.where(swap, first, second)


def _texture(count: int, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A linear gradient and a checkerboard of random period: brightness `(count, SIZE, SIZE)`."""
    gradient = _uniform(rng, -1.5, 1.5, count) * (x - SIZE / 2) + _uniform(rng, -1.5, 1.5, count) * (y - SIZE / 2)
    period = rng.integers(2, 9, (count, 1, 1))
    checker = (x.astype(np.int64) // period + y.astype(np.int64) // period) % 2
    return gradient + _uniform(rng, -25, 25, count) * checker.astype(np.float32)


def _paint(canvas: np.ndarray, distance: np.ndarray, colours: np.ndarray) -> None:
    """Paints where the signed distance (in pixels) is negative; the edge is one pixel wide."""
    cover = np.clip(0.5 - distance, 0, 1).astype(np.float32)[..., None]
    canvas += cover * (colours[:, None, None, :] - canvas)


def _distances(labels: np.ndarray, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Signed distances, in pixels, from the outlines of randomly placed shapes: float32 `(n, SIZE, SIZE)`."""
    count = len(labels)
    # A direction without sine and cosine, whose last bits differ between machines; 0.1 keeps it off the origin.
    a, b = _uniform(rng, -1, 1, count), _uniform(rng, -1, 1, count)
    a = np.where(np.abs(a) + np.abs(b) < 0.1, np.float32(1), a)
    length = np.sqrt(a * a + b * b)
    cosine, sine = a / length, b / length
    dx, dy = x - _uniform(rng, 12, SIZE - 13, count), y - _uniform(rng, 12, SIZE - 13, count)
    areas = np.array([_unit_area(name) for name in CLASSES], np.float32)[labels][:, None, None]
    scale = np.sqrt(_uniform(rng, MIN_AREA, MAX_AREA, count) / areas)
    u, v = (cosine * dx + sine * dy) / scale, (cosine * dy - sine * dx) / scale
    distance = np.empty((count, SIZE, SIZE), np.float32)
    for index, name in enumerate(CLASSES):
        rows = labels == index
        distance[rows] = _SHAPES[name](u[rows], v[rows])
    return distance * scale


# Signed distance functions of shapes about the origin, negative inside. Near the outlines they are distances, which is all
# that drawing needs.


def _disc(u: np.ndarray, v: np.ndarray, radius: float) -> np.ndarray:
    return np.sqrt(u * u + v * v) - np.float32(radius)


def _box(u: np.ndarray, v: np.ndarray, half_width: float, half_height: float) -> np.ndarray:
    return np.maximum(np.abs(u) - np.float32(half_width), np.abs(v) - np.float32(half_height))


def _half_planes(u: np.ndarray, v: np.ndarray, directions: list[tuple[float, float]]) -> list[np.ndarray]:
    return [np.float32(a) * u + np.float32(b) * v for a, b in directions]


def _ring(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.abs(_disc(u, v, 0.8)) - np.float32(0.22)


def _triangle(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    half_root_3 = 0.8660254
    return functools.reduce(np.maximum, _half_planes(u, v, [(0, 1), (half_root_3, -0.5), (-half_root_3, -0.5)])) - np.float32(0.5)


def _cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.minimum(_box(u, v, 1.0, 0.3), _box(u, v, 0.3, 1.0))


def _star(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """A pentagram: all points that are inside at least four of a pentagon's five sides."""
    directions = [(0.0, 1.0), (0.9510565, 0.309017), (0.5877853, -0.809017), (-0.5877853, -0.809017), (-0.9510565, 0.309017)]
    largest = second = np.full_like(u, -np.inf)
    for side in _half_planes(u, v, directions):
        second = np.maximum(second, np.minimum(largest, side))
        largest = np.maximum(largest, side)
    return second - np.float32(0.32)


def _crescent(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.maximum(_disc(u, v, 1.0), -_disc(u - np.float32(0.5), v, 0.8))


def _stripes(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Three parallel bars."""
    return functools.reduce(np.minimum, [_box(u - np.float32(place), v, 0.17, 0.9) for place in (-0.72, 0.0, 0.72)])


def _hourglass(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Two triangles, tip to tip."""
    return np.maximum(np.abs(v) - np.float32(1.0), np.float32(0.8) * np.abs(u) - np.float32(0.6) * np.abs(v))


def _chevron(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """A V of two bars."""
    bend = np.float32(0.8) * (u + np.float32(0.35)) - np.float32(0.6) * np.abs(v)
    return np.maximum(np.abs(bend) - np.float32(0.26), np.abs(v) - np.float32(1.0))


_SHAPES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "circle": lambda u, v: _disc(u, v, 1.0),
    "ring": _ring,
    "square": lambda u, v: _box(u, v, 1.0, 1.0),
    "triangle": _triangle,
    "cross": _cross,
    "star": _star,
    "crescent": _crescent,
    "stripes": _stripes,
    "hourglass": _hourglass,
    "chevron": _chevron,
}


@functools.cache
def _unit_area(name: str) -> float:
    """Area of a shape at scale 1, counted on a grid."""
    axis = np.linspace(-1.75, 1.75, 351, dtype=np.float32)
    inside = _SHAPES[name](axis[None, :] + np.float32(0) * axis[:, None], axis[:, None] + np.float32(0) * axis[None, :]) < 0
    return float(np.count_nonzero(inside)) * math.pow(3.5 / 350, 2)
