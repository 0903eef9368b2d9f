"""Numbers that a rewrite may choose, and which of them belong together: of factors (factors.py) and of offsets (offsets.py).

A *class* is a number that is free. What becomes of a value follows from some classes, its *form*; from none where nothing may.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from kerasq_convert.errors import ConversionError
from kerasq_convert.graph import Graph, Node, Shape, WeightedNode, moves_values

Form = tuple[int, ...]  # classes, sorted
Number = TypeVar("Number", int, float)


class Free:
    """Classes, made one after the other. Some are joined, and some fixed: for these nothing is chosen."""

    def __init__(self) -> None:
        self._parents: list[int] = []
        self._fixed: set[int] = set()  # roots

    def walk(self, graph: Graph) -> None:
        """Goes through the nodes of a graph.

        Nothing is chosen for what a quantizer of the network rounds, nor for its outputs; all operators of one layer, which go on
        sharing its constants, have the same.
        """
        first: dict[tuple[str, Shape], Node] = {}
        for node in graph.nodes:
            self.look_at(node)
            if node.format is not None:
                self.fix_value(node.output)
            if isinstance(node, WeightedNode) and not moves_values(node):
                other = first.setdefault((node.layer, node.kernel.shape), node)
                if other is not node:
                    self.join_values([node.inputs[0], other.inputs[0]])
                    self.join_values([node.output, other.output])
        for value in graph.outputs.values():
            self.fix_value(value)

    def look_at(self, node: Node) -> None:
        """Notes what may become of a node's output, from what may of its inputs."""
        raise NotImplementedError

    def forms_of(self, value: str) -> list[Form]:
        """The forms of a value, in terms of the classes that are left: of its parts, or of all of it."""
        raise NotImplementedError

    def join_values(self, values: Iterable[str]) -> None:
        """Makes one of the forms of some values."""
        self.join(form for value in values for form in self.forms_of(value))

    def fix_value(self, value: str) -> None:
        """Leaves nothing to choose for a value."""
        self.fix(self.forms_of(value))

    def root(self, number: int) -> int:
        while self._parents[number] != number:
            number = self._parents[number]
        return number

    def form(self, form: Form) -> Form:
        """A form in terms of the classes that are left."""
        roots = sorted(map(self.root, form))
        return tuple(number for number in roots if number not in self._fixed)

    def roots(self) -> list[int]:
        """The classes that are left, in the order of execution."""
        return [number for number in range(len(self._parents)) if self.root(number) == number and number not in self._fixed]

    def new(self) -> Form:
        """The form of another class."""
        self._parents.append(len(self._parents))
        return (len(self._parents) - 1,)

    def join(self, forms: Iterable[Form]) -> None:
        """Makes one of some forms of classes that are left: where that would have to be one of several classes, of none."""
        together = set(forms)
        if len(together) < 2:
            return
        if any(len(form) != 1 for form in together):
            self.fix(together)
            return
        first, *others = sorted(number for (number,) in together)
        for number in others:
            self._parents[number] = first

    def fix(self, forms: Iterable[Form]) -> None:
        """Leaves nothing to choose for some forms of classes that are left."""
        self._fixed.update(number for form in forms for number in form)

    def told(
        self, what: str, text: str, source: str, number: Callable[[str], Number], fits: Callable[[Number], bool]
    ) -> dict[int, Number]:
        """What is chosen for every class, as a file's metadata or settings tell it: numbers with commas between them.

        Args:
            what: What they are, and where they stand.
            text: The numbers.
            source: Of what they are told, for the error.
            number: Reads one.
            fits: Whether it can be one.

        Raises:
            ConversionError: They are not this network's.
        """
        roots = self.roots()
        try:
            numbers = tuple(number(part) for part in text.split(",") if part)
        except ValueError:
            numbers = ()
        if len(numbers) != len(roots) or not all(map(fits, numbers)):
            raise ConversionError(source, [f"the {what} are not those of this network"])
        return dict(zip(roots, numbers, strict=True))
