"""Loops over a fixed number of time steps (GRU, LSTM, SimpleRNN), unrolled: every round becomes operations of its own.

TensorFlow hands a loop over as Enter, Merge, Switch, NextIteration and Exit around one copy of what a round computes. Whether
there is another round follows from constants, the number of steps among them, so it is computed here, round by round.
Lists of tensors, by which rounds read the sequence and write their results, vanish: their numbers are constants, too
(kerasq_convert.frontend.tensor_lists).
"""

from __future__ import annotations

import collections
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from kerasq_convert.frontend.tensor_lists import NUMBERED
from kerasq_convert.frontend.variables import node_of, reached

MAX_ROUNDS = 64  # operators grow with the rounds, and with them the file and the time that a conversion takes
_BODY = re.compile(r"^(?:Func/)?(?P<loop>.*)/(?:body|cond)/_\d+/(?P<inner>.*)$")


def unroll_loops(flat: Any, constants: Mapping[str, np.ndarray]) -> bool:
    """Unrolls the outermost loops of a flat GraphDef whose number of rounds is fixed and small; whether there were any.

    Args:
        flat: The GraphDef, with placeholders for variables.
        constants: Values of tensors that depend on no input, by name.
    """
    nodes = {node.name: node for node in flat.node}
    loops = [_Loop(nodes, frame) for frame in dict.fromkeys(_frame(node) for node in flat.node if node.op == "Enter")]
    unrolled = False
    for loop in loops:
        is_inner = any(loop.enters.keys() & other.inside for other in loops if other is not loop)
        rounds = None if is_inner else _rounds(loop, constants)
        if rounds is not None:
            _unroll(flat, loop, rounds)
            unrolled = True
    return unrolled


class _Loop:
    """A loop of a flat GraphDef.

    Attributes:
        nodes: All nodes of the graph, by name.
        enters: What enters the loop: names of the nodes Enter, with the reference that each reads.
        merges: What a round may change: names of the nodes Merge, with the names of their Enter and their NextIteration.
        switches: Names of the nodes Switch, with that of their Merge.
        exits: Names of the nodes Exit, with that of their Merge.
        inside: Names of all nodes that a round is made of, the loop's own among them.
        condition: The reference that tells whether there is another round; None where that is not clear.
        own: Names of the nodes that make it a loop, exits apart.
    """

    def __init__(self, nodes: Mapping[str, Any], frame: bytes):
        self.nodes = nodes
        self.enters = {name: node.input[0] for name, node in nodes.items() if node.op == "Enter" and _frame(node) == frame}
        self.merges: dict[str, tuple[str, str]] = {}
        for name, node in nodes.items():
            if node.op == "Merge" and node_of(node.input[0]) in self.enters:
                self.merges[name] = node_of(node.input[0]), node_of(node.input[1])
        self.switches = self._following("Switch", self.merges)
        self.exits = {name: self.switches[switch] for name, switch in self._following("Exit", self.switches).items()}
        readers = collections.defaultdict[str, list[str]](list)
        for name, node in nodes.items():
            for reference in node.input:
                readers[node_of(reference)].append(name)
        self.inside = reached(self.enters, lambda name: (reader for reader in readers[name] if reader not in self.exits))
        conditions = {node_of(nodes[switch].input[1]) for switch in self.switches}
        self.condition = nodes[next(iter(conditions))].input[0] if len(conditions) == 1 else None
        following = {following for _, following in self.merges.values()}
        self.own = {*self.enters, *self.merges, *self.switches, *following, *conditions}

    def _following(self, kind: str, those: Iterable[str]) -> dict[str, str]:
        """Nodes of a kind whose first input is one of those, with its name."""
        names = set(those)
        return {
            name: node_of(node.input[0])
            for name, node in self.nodes.items()
            if node.op == kind and node_of(node.input[0]) in names
        }

    def source(self, reference: str) -> str:
        """What a reference inside of the loop stands for: identities lead to it; an output of Switch is that of its Merge."""
        while (name := node_of(reference)) in self.inside:
            if name in self.switches:
                return self.switches[name]
            if self.nodes[name].op != "Identity":
                break
            reference = self.nodes[name].input[0]
        return reference

    def needs(self, name: str) -> Iterator[str]:
        """Names of the nodes inside whose values a node's value follows from in the same round; a Merge has its own."""
        if name not in self.merges and name not in self.enters:
            for reference in _data(self.nodes[name]):
                if (needed := node_of(self.source(reference))) in self.inside:
                    yield needed


_Round = Mapping[str, np.ndarray]  # numbers of tensor lists' entries, by the reference inside of the loop that tells each


def _rounds(loop: _Loop, constants: Mapping[str, np.ndarray]) -> list[_Round] | None:
    """The rounds of a loop; None where their number depends on an input, or is larger than MAX_ROUNDS."""
    import tensorflow as tf

    if loop.condition is None:
        return None
    numbered = [loop.nodes[name] for name in loop.inside if loop.nodes[name].op in NUMBERED]
    told = list(dict.fromkeys([loop.source(loop.condition), *(loop.source(node.input[1]) for node in numbered)]))
    needed = _control(loop, told)
    carried = {name: loop.source(loop.nodes[loop.merges[name][1]].input[0]) for name in sorted(needed & loop.merges.keys())}
    starts = {name: loop.enters[loop.merges[name][0] if name in loop.merges else name] for name in needed if name in carried}
    starts |= {name: loop.enters[name] for name in needed & loop.enters.keys()}
    if any(_tensor(reference) not in constants for reference in starts.values()):
        return None
    values = {name: constants[_tensor(reference)] for name, reference in starts.items()}
    computed = [name for name in sorted(needed) if name not in starts]
    read = (loop.source(reference) for name in computed for reference in _data(loop.nodes[name]))
    outside = {reference for reference in (*told, *carried.values(), *read) if node_of(reference) not in loop.inside}
    if any(_tensor(reference) not in constants for reference in outside):
        return None
    graph = tf.Graph()
    with graph.as_default():
        tf.graph_util.import_graph_def(_part(loop, computed, starts, outside, constants), name="")
    rounds: list[_Round] = []
    with tf.compat.v1.Session(graph=graph) as session:
        asked = [reference for reference in dict.fromkeys((*told, *carried.values())) if reference not in outside]
        while len(rounds) <= MAX_ROUNDS:
            results = session.run([_tensor(reference) for reference in asked], {f"{name}:0": values[name] for name in values})
            of = dict(zip(asked, results, strict=True)) | {reference: constants[_tensor(reference)] for reference in outside}
            if not of[told[0]]:
                return rounds
            rounds.append({reference: of[reference] for reference in told[1:]})
            values |= {name: of[reference] for name, reference in carried.items()}
    return None


def _control(loop: _Loop, told: list[str]) -> set[str]:
    """Names of the nodes inside from which these references follow, in all rounds."""

    def needs(name: str) -> Iterator[str]:
        yield from loop.needs(name)
        if name in loop.merges and (carried := node_of(loop.source(loop.nodes[loop.merges[name][1]].input[0]))) in loop.inside:
            yield carried

    return reached((name for reference in told if (name := node_of(reference)) in loop.inside), needs)


def _part(
    loop: _Loop, computed: list[str], starts: Mapping[str, str], outside: set[str], constants: Mapping[str, np.ndarray]
) -> Any:
    """A GraphDef of the nodes `computed`, with placeholders for what enters a round and constants for what is outside of it."""
    import tensorflow as tf

    part = tf.compat.v1.GraphDef()
    for name, reference in starts.items():
        node = part.node.add(name=name, op="Placeholder")
        node.attr["dtype"].type = tf.as_dtype(constants[_tensor(reference)].dtype).as_datatype_enum
    names = {reference: f"kerasq_outside_{number}" for number, reference in enumerate(sorted(outside))}
    part.node.extend(_constant(name, constants[_tensor(reference)]) for reference, name in names.items())
    for name in computed:
        node = part.node.add()
        node.CopyFrom(loop.nodes[name])
        inputs = [names.get(source, source) for source in map(loop.source, _data(node))]
        del node.input[:]
        node.input.extend(inputs)
    return part


def _unroll(flat: Any, loop: _Loop, rounds: list[_Round]) -> None:
    """Puts a copy of the loop's nodes for each round in its place."""
    taken = {node.name for node in flat.node}
    copied = [node for node in flat.node if node.name in loop.inside and _is_copied(loop, node)]
    current = {merge: loop.enters[enter] for merge, (enter, _) in loop.merges.items()}
    added: list[Any] = []
    for number, one in enumerate(rounds):
        names = {node.name: _free_name(node.name, number, taken) for node in copied}

        def there(reference: str, names: Mapping[str, str] = names, values: Mapping[str, str] = current) -> str:
            reference = loop.source(reference)
            name, *output = reference.split(":")
            if name in values:
                return values[name]
            return loop.enters[name] if name in loop.enters else ":".join([names.get(name, name), *output])

        for node in copied:
            copy = type(node)()
            copy.CopyFrom(node)
            copy.name = names[node.name]
            inputs = [there(reference) for reference in _data(node)]
            if node.op in NUMBERED:
                added.append(_constant(f"{copy.name}/number", one[loop.source(node.input[1])]))
                inputs[1] = added[-1].name
            del copy.input[:]
            copy.input.extend(inputs)
            if node.op == "Enter":  # of a loop in the loop
                copy.attr["frame_name"].s += b"/round_%d" % number
            added.append(copy)
        current = {merge: there(loop.nodes[following].input[0]) for merge, (_, following) in loop.merges.items()}
    _replace(flat, loop, current)
    flat.node.extend(added)


def _is_copied(loop: _Loop, node: Any) -> bool:
    return node.name not in loop.own and node.op not in ("Identity", "NoOp", "Const")


def _replace(flat: Any, loop: _Loop, last: Mapping[str, str]) -> None:
    """Takes the loop's nodes out of the graph; what leaves the loop are the last values of its merges. Constants stay."""
    gone = {name for name in loop.inside if loop.nodes[name].op != "Const"}
    kept = []
    for node in flat.node:
        if node.name in gone:
            continue
        if node.name in loop.exits:
            node.op = "Identity"
            node.input[0] = last[loop.exits[node.name]]
        controls = [reference for reference in node.input if reference.startswith("^") and node_of(reference) in gone]
        for reference in controls:
            node.input.remove(reference)
        kept.append(node)
    copies = [type(node).FromString(node.SerializeToString()) for node in kept]
    del flat.node[:]
    flat.node.extend(copies)


def _free_name(name: str, number: int, taken: set[str]) -> str:
    """What the copy of a node is called: as if its layer had no loop."""
    match = _BODY.match(name)
    if match is not None:
        outer, inner = match["loop"].rsplit("/", 1)[0].split("/"), match["inner"].split("/")
        loop = match["loop"].rsplit("/", 1)[-1]
        if loop in inner:  # the body repeats the scopes of its loop
            inner = inner[len(inner) - inner[::-1].index(loop) :] or inner[-1:]
        name = "/".join([*outer, *inner])
    name = f"{name}_{number}"
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _constant(name: str, value: np.ndarray) -> Any:
    import tensorflow as tf

    node = tf.compat.v1.NodeDef(name=name, op="Const")
    node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    return node


def _frame(node: Any) -> bytes:
    return node.attr["frame_name"].s


def _data(node: Any) -> list[str]:
    return [reference for reference in node.input if not reference.startswith("^")]


def _tensor(reference: str) -> str:
    return reference if ":" in reference else f"{reference}:0"
