"""Steps that a network counts as examples: (batch, steps, ...) reshaped to (batch · steps, ...), and back after some layers.

TimeDistributed of Keras 2 does so. Traced for a batch of 1, such a value begins with the number of steps: what is computed of it
is computed for every step (kerasq_convert.frontend.every_step).
"""

from __future__ import annotations

from kerasq_convert.errors import ConversionError, UnsupportedError
from kerasq_convert.graph import Graph, Node, Reshape, Shape, Transpose, replace
from kerasq_convert.passes.every_step import EveryStep


def steps_out_of_batches(graph: Graph) -> Graph:
    """`graph` with a batch of 1 throughout.

    Raises:
        ConversionError: A layer reads values of several batches, or can't be applied to several steps, or an output has several
            rows for each example; all of them are listed.
    """
    if all(node.shape[0] == 1 for node in graph.nodes):
        return graph
    shapes: dict[str, Shape] = dict(graph.inputs) | {node.output: node.shape for node in graph.nodes}
    nodes: list[Node] = []
    every = {steps: EveryStep(steps, {}) for steps in {shape[0] for shape in shapes.values()}}
    problems: dict[str, str] = {}
    for step in every.values():
        step.nodes = nodes
    for node in graph.nodes:
        batches = {shapes[value][0] for value in node.inputs}
        steps = every[node.shape[0]]
        try:
            if isinstance(node, Reshape | Transpose):
                inputs = tuple(every[shapes[value][0]].tight(value) for value in node.inputs)
                of_a_step = (1, *node.shape[1:])
                steps.shapes[node.output] = of_a_step
                nodes.append(replace(node, inputs=inputs, shape=node.shape if node.shape[0] == 1 else steps.shape(of_a_step)))
            elif batches != {node.shape[0]}:
                raise UnsupportedError("it mixes examples, or time steps that a Reshape made examples of")
            elif node.shape[0] == 1:
                nodes.append(node)
            else:
                steps.add(replace(node, shape=(1, *node.shape[1:])))
        except UnsupportedError as error:
            problems.setdefault(node.layers[-1], str(error))
    lines = [f"layer {layer!r}: {problem}" for layer, problem in problems.items()]
    for name, value in graph.outputs.items():
        rows, *rest = shapes[value]
        if rows > 1:
            wanted = ", ".join(map(str, ("batch", rows, *rest)))
            lines.append(f"output {name!r} has {rows} rows for each example: end the network with a Reshape to ({wanted})")
    if lines:
        raise ConversionError("the network can't be converted", lines)
    return graph.with_nodes(nodes)
