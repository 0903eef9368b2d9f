"""Time steps that do the same: the first is imported apart from the network, and enters it as one for all of them."""

from __future__ import annotations

from typing import Any

from kerasq_convert.errors import UnsupportedError
from kerasq_convert.frontend.importing import Importer, shape_of
from kerasq_convert.frontend.time_steps import Steps, find_steps
from kerasq_convert.graph import Node, Reshape
from kerasq_convert.passes.every_step import EveryStep


class RepeatedSteps:
    """Directs the nodes of each operation to where they belong.

    Attributes:
        passed_over: Operations of all steps but the first.
    """

    def __init__(self, importer: Importer):
        self._importer, self._network = importer, importer.nodes
        repeated = find_steps(importer.frozen.operations, importer.constant)
        self.passed_over = {operation for steps in repeated for operation in steps.others}
        self._packs = {steps.pack: steps for steps in repeated}
        self._nodes: dict[Any, list[Node]] = {steps.pack: [] for steps in repeated}
        self._home: dict[Any, list[Node]] = {}
        for steps in repeated:  # the innermost come first
            for operation in steps.first:
                self._home.setdefault(operation, self._nodes[steps.pack])
        self._slices = {operation for steps in repeated for slice_, _ in steps.sources.values() for operation in (slice_.op,)}

    def takes(self, operation: Any) -> bool:
        """Makes the place where an operation belongs the importer's; whether it is a border of steps, and done with.

        Raises:
            UnsupportedError: What the steps do can't be done for all of them.
        """
        self._importer.nodes = self._home.get(operation, self._network)
        if operation in self._packs:
            self._together(self._packs[operation])
            return True
        if operation in self._slices:
            self._importer.values[operation.outputs[0].name] = operation.outputs[0].name
            return True
        return False

    def puts_together(self, operation: Any) -> bool:
        """Whether an operation gathers the results of such steps."""
        return operation in self._packs

    def finish(self) -> None:
        """The network's nodes are the importer's again."""
        self._importer.nodes = self._network

    def _together(self, steps: Steps) -> None:
        importer, layers = self._importer, (self._importer.layer(steps.pack),)
        every = EveryStep(steps.count, {name: shape_of(slice_) for name, (slice_, _) in steps.sources.items()})
        for name, (slice_, source) in steps.sources.items():
            shape = every.shape(shape_of(slice_))
            every.nodes.append(Reshape(output=name, inputs=(importer.values[source.name],), shape=shape, layers=layers))
        for node in self._nodes[steps.pack]:
            if any(value not in every.shapes for value in node.inputs):
                raise UnsupportedError("what is done at each of several time steps is not supported")
            every.add(node)
        result = steps.pack.outputs[0]
        value = every.tight(importer.values[steps.pack.inputs[0].name])
        importer.nodes += every.nodes
        importer.add(Reshape(output=result.name, inputs=(value,), shape=shape_of(result), layers=layers))
