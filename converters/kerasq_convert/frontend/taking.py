"""Places along axes that are taken out of a value: by crops where they are evenly spaced, else by selections of channels."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from kerasq_convert.errors import UnsupportedError
from kerasq_convert.frontend.chain import MAX_AXIS, Chain
from kerasq_convert.graph import Crop, Select, Transpose, progression

Places = Mapping[int, np.ndarray]  # by axis, the numbers of what is taken along it


class Taker(Chain):
    """The nodes that take places along one axis after the other."""

    def take(self, places: Places) -> None:
        """Any places along any axes but the batch."""
        wanted = {axis: place for axis, place in places.items() if not np.array_equal(place, np.arange(self.shape[axis]))}
        last = len(self.shape) - 1
        regular = [axis for axis, place in wanted.items() if axis != last and progression(place) is not None]
        if len(self.shape) == 4 and len(regular) > 1:
            self.crop_image({axis: wanted[axis] for axis in regular})
        else:
            for axis in sorted(regular):
                self.crop(axis, wanted[axis])
        for axis in sorted(wanted.keys() - set(regular)):
            self.pick(axis, wanted[axis])

    def crop_image(self, places: Places) -> None:
        """Evenly spaced rows and columns, by one crop."""
        frame, strides, shape = [0, 0, 0, 0], [1, 1], list(self.shape)
        for axis, place in places.items():
            frame[2 * axis - 2 : 2 * axis] = int(place[0]), self.shape[axis] - 1 - int(place[-1])
            strides[axis - 1], shape[axis] = progression(place) or 1, len(place)
        self.add(Crop, tuple(shape), frame=tuple(frame), strides=tuple(strides))

    def crop(self, axis: int, places: np.ndarray) -> None:
        """Evenly spaced places along one axis, which are the rows of a picture, or its columns where there are rows before."""
        outer, size, inner = math.prod(self.shape[:axis]), self.shape[axis], math.prod(self.shape[axis + 1 :])
        before, whole, channels = self.shape[:axis], self.shape, self.shape[-1]
        self.view((1, size, inner // channels, channels) if outer == 1 else (1, outer, size, inner))
        self.crop_image({1 if outer == 1 else 2: places})
        self.view((*before, len(places), *whole[axis + 1 :]))

    def pick(self, axis: int, places: np.ndarray) -> None:
        """Any places: the axis becomes the last one, whose channels are selected, and goes back."""
        size, inner = self.shape[axis], math.prod(self.shape[axis + 1 :])
        outer = math.prod(self.shape[:axis])
        if max(size, inner, len(places)) > MAX_AXIS:
            raise UnsupportedError(f"a selection along an axis longer than {MAX_AXIS:,} is not supported")
        before, after = self.shape[:axis], self.shape[axis + 1 :]
        if inner > 1:
            self.add(Transpose, (1, outer, inner, size), sizes=(size, inner), together=1)
            self.add(Select, (1, outer, inner, len(places)), channels=places)
            self.add(Transpose, (1, outer, len(places), inner), sizes=(inner, len(places)), together=1)
        else:
            if axis != len(self.shape) - 1 or len(self.shape) > 4:  # of one channel, which has places of the axis for channels
                self.view((1, outer, size))
            self.add(Select, (*self.shape[:-1], len(places)), channels=places)
        self.view((*before, len(places), *after))

    def reflect(self, axis: int, places: np.ndarray) -> None:
        """Places that go forward but for a few at the ends, as in a mirror: crops side by side."""
        whole, value = self.shape, self.value
        before, after = whole[:axis], whole[axis + 1 :]
        turns = np.flatnonzero(np.diff(places) != 1) + 1
        parts: list[str] = []
        for run in np.split(places, turns):
            self.value, self.shape = value, whole
            if len(run) < whole[axis]:
                self.crop(axis, run)
            self.view((1, math.prod(before), len(run) * math.prod(after)))
            parts.append(self.value)
        self.join(parts, [len(run) * math.prod(after) for run in np.split(places, turns)])
        self.view((*before, len(places), *after))
