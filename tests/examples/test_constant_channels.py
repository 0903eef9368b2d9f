"""examples/benchmarks/constant_channels.py: what its training makes constant is left out, and the outputs stay the same."""

from __future__ import annotations

import keras
import numpy as np
from constant_channels import constant_share, images, shrink
from standins import NETWORKS

import kerasq
from kerasq import ops
from kerasq.format import loads
from kerasq.interpreter.reference import ReferenceEngine
from kerasq_convert.pruning.prune import prune


def test_a_sparse_mobilenet_loses_two_fifths_of_its_work_and_no_bit():
    keras.utils.set_random_seed(1)
    model = NETWORKS["vww"].build()
    rng = np.random.default_rng(2)
    normalizations = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in normalizations:  # offsets of both signs: constants are zero behind some ReLUs, and other than zero behind others
        layer.gamma.assign(rng.uniform(0.1, 1.0, layer.gamma.shape))
        layer.beta.assign(rng.normal(0.0, 0.3, layer.beta.shape))
    shrink([layer.gamma for layer in normalizations], 0.36)
    assert 1 / 3 <= constant_share(model) <= 0.4
    content = kerasq.convert(model, representative_dataset=images(2), correct_bias=False, prune=False)
    before = loads(content)
    after = prune(before)
    work = [sum(ops.macs(network, operator) for operator in network.operators) for network in (before, after)]
    assert work[1] <= 0.6 * work[0]
    assert after.arena_bytes <= before.arena_bytes
    values = [computed(network, images(1)) for network in (before, after)]
    for name, channels in values[1].items():
        assert channels <= values[0][name], name
    assert values[0]["image"] == values[1]["image"]
    assert [before.tensors[i].name for i in before.outputs] == [after.tensors[i].name for i in after.outputs]
    assert sum(map(len, values[1].values())) > 300  # channels that differ from each other


def computed(network, examples):
    """The stored values of each channel of each activation, by its name."""
    values = {}

    def note(index, stored):
        values[network.tensors[index].name] = {stored[..., channel].tobytes() for channel in range(stored.shape[-1])}

    ReferenceEngine(network).run([network.tensors[network.inputs[0]].format.quantize(examples)], note)
    return values
