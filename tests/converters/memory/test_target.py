"""Networks planned for the kernels of a processor: the same values, every kernel, and the smallest arena."""

from __future__ import annotations

import pytest

import kerasq
import kerasq.runtime
from kerasq.conformance.samples import SAMPLES
from kerasq.format import dumps, loads
from kerasq.format.model import Layout
from kerasq.runtime import DSP, Network
from kerasq.verification.plan import lower_bound
from kerasq_convert.memory.target import planned_for
from networks import random_inputs, random_resnet23
from random_graphs import random_graph

pytestmark = pytest.mark.skipif(
    not kerasq.runtime.available(), reason="the native library, which names the kernels, is not installed"
)


def outputs(model, **engine):
    inputs = random_inputs(model, seed=3, examples=2)
    found = kerasq.Interpreter(model_content=dumps(model), **engine).predict(inputs, raw=True)
    return [array.tolist() for array in (found if isinstance(found, list) else [found])]


@pytest.mark.parametrize("kernels", ["FIXED8", "SIGN"])
def test_a_network(kernels):
    model = random_resnet23(kernels, buffers="FIXED8", maps=16, size=16)
    planned = loads(dumps(planned_for(model, DSP)))
    network = Network(dumps(planned), DSP)
    assert network.arena_bytes == planned.arena_bytes, "all scratch memory has its place in the plan"
    assert planned.arena_bytes <= Network(dumps(model), DSP).arena_bytes
    assert planned.arena_bytes <= 1.02 * lower_bound(planned)
    others = {operator.kernel for operator in network.operators() if not operator.kernel.endswith("_dsp")}
    assert others == {"kq_reshape"}
    paired = [tensor for tensor in planned.tensors if tensor.layout == Layout.PAIRS]
    assert len(paired) == (21 if kernels == "FIXED8" else 0), "all convolutions but the first, of 27 weights a channel"
    assert sum("_pairs_" in operator.kernel for operator in network.operators()) == len(paired)
    expected = outputs(model, engine="reference")
    for engine in ({"engine": "reference"}, {"isa": "portable"}, {"isa": DSP}, {}):
        assert outputs(planned, **engine) == expected, engine
    assert dumps(planned_for(planned, DSP)) == dumps(planned)


def test_zeros_stay():
    """Also where the kernels of the processor leave an operator to those of every one."""
    model = SAMPLES["offset"]()
    planned = loads(dumps(planned_for(model, DSP)))
    assert [operator.zero for operator in planned.operators] == [9, 0, 200, 40000]
    expected = outputs(model, engine="reference")
    for engine in ({"engine": "reference"}, {"isa": "portable"}, {"isa": DSP}, {}):
        assert outputs(planned, **engine) == expected, engine


def test_random_networks():
    scratch = 0
    for seed in range(30):
        model = random_graph(seed)
        if any(tensor.format.is_float for tensor in model.tensors):
            continue
        planned = planned_for(model, DSP)
        scratch += any(operator.scratch[1] for operator in planned.operators)
        assert Network(dumps(planned), DSP).arena_bytes == planned.arena_bytes
        assert outputs(planned, isa=DSP) == outputs(model, engine="reference"), seed
    assert scratch > 1
