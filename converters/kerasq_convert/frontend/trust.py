"""Which operations of a SavedModel may run: those that compute numbers from numbers, and nothing else.

A SavedModel is a program. Its operations can read and write files, open connections and call Python, and TensorFlow runs them
when a graph is loaded, folded or executed. So every operation that could run is looked at before TensorFlow is given any, and
what is not known to compute only is refused by name. An operation computes only, by its definition in TensorFlow's registry,
where it keeps no state, has no text or resource among its inputs and outputs, and no attribute that could name a file, an address
or a function; and where it is one of the few below that keep state and compute all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from kerasq_convert.frontend.variables import ASSIGNING


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Operations with state, or with a function, that touch nothing but the values of the graph itself.
_HARMLESS = _words("""
    Assert Print CheckNumerics CheckNumericsV2 Const DeepCopy DisableCopyOnRead Empty GuaranteeConst VariableShape
    Placeholder PlaceholderWithDefault VarHandleOp VarIsInitializedOp ReadVariableOp ResourceGather ResourceGatherNd
    Variable VariableV2 PartitionedCall StatefulPartitionedCall If StatelessIf While StatelessWhile Case StatelessCase MapDefun
    TensorArrayV3 TensorArrayReadV3 TensorArrayWriteV3 TensorArrayGatherV3 TensorArrayScatterV3 TensorArraySizeV3
    TensorArrayCloseV3 TensorArrayConcatV3 TensorArraySplitV3 StackV2 StackPushV2 StackPopV2 StackCloseV2
    Multinomial RandomCrop RandomGamma RandomPoisson RandomPoissonV2 RandomShuffle RandomStandardNormal RandomUniform
    RandomUniformInt TruncatedNormal ParameterizedTruncatedNormal StatefulRandomBinomial StatefulStandardNormal
    StatefulStandardNormalV2 StatefulTruncatedNormal StatefulUniform StatefulUniformFullInt StatefulUniformInt
    StatelessRandomGetAlg RngReadAndSkip RngSkip CudnnRNN CudnnRNNV2 CudnnRNNV3 StringFormat StringJoin AsString
""")
# What a network stores or prints as it runs. None of them has an output, so that they can be left out (saved_model.py).
LEFT_OUT = ASSIGNING | _words("PrintV2")
_TABLES = _words("""
    HashTable HashTableV2 MutableHashTable MutableHashTableV2 MutableDenseHashTableV2 AnonymousHashTable
    InitializeTable InitializeTableV2 InitializeTableFromTextFile InitializeTableFromTextFileV2
    LookupTableImport LookupTableImportV2 LookupTableInsertV2
""")
# Attributes of text that only choose between ways to compute.
_CHOICES = _words("""
    data_format padding padding_mode equation mode direction rnn_mode input_mode fused_ops filter_format activation_mode
    input_quant_mode output_quant_mode round_mode bad_indices_policy align reduction interpolation fill_mode method kernel_type
    noise combiner loss_type src_format dst_format side message op_type comparison_direction dimension_numbers
    precision_config output_encoding frame_name
""")
_TEXT, _RESOURCE, _VARIANT = 7, 20, 21  # DataType


def problems(nodes: Iterable[Any], *, tables: bool = False) -> list[str]:
    """What must not run among nodes of a GraphDef, one line for each kind of operation, with the first name that it has.

    Args:
        nodes: `NodeDef`s.
        tables: Whether tables may be filled, as an initialisation does that is not run here.
    """
    seen: dict[str, str] = {}
    harmless = _HARMLESS | LEFT_OUT | (_TABLES if tables else frozenset())
    for node in nodes:
        if _prints_to_a_file(node):
            harmless -= {node.op}
            seen[node.op] = node.name
        seen.setdefault(node.op, node.name)
    return list(_refused(seen, harmless))


def _prints_to_a_file(node: Any) -> bool:
    return node.op == "PrintV2" and node.attr["output_stream"].s.startswith(b"file:")


def _refused(seen: dict[str, str], harmless: frozenset[str]) -> Iterator[str]:
    from tensorflow.python.framework import op_def_registry

    for kind, name in sorted(seen.items()):
        definition = op_def_registry.get(kind)
        if kind == "XlaCallModule":
            yield (
                f"operation XlaCallModule ({name!r}) holds a program of JAX: load the model's .keras file with "
                "KERAS_BACKEND=tensorflow and export it there"
            )
        elif definition is None:
            yield f"operation {kind} ({name!r}) is not one of TensorFlow's: a network is exported without custom operations"
        elif kind not in harmless and not _only_computes(definition):
            yield (
                f"operation {kind} ({name!r}) may reach files, text, tables, processes or devices outside of the graph, so "
                "nothing of this SavedModel was run: leave it out and export what computes, by model.export(folder)"
            )


def _only_computes(definition: Any) -> bool:
    """Whether an operation, by its definition, gives numbers for numbers."""
    if definition.is_stateful or definition.name.startswith("_"):
        return False
    types = {argument.type for argument in (*definition.input_arg, *definition.output_arg)}
    if types & {_TEXT, _RESOURCE} or (_VARIANT in types and not definition.name.startswith("TensorList")):
        return False
    return all(attribute.name in _CHOICES or "string" not in attribute.type for attribute in definition.attr) and not any(
        "func" in attribute.type for attribute in definition.attr
    )
