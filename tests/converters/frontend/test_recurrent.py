"""Recurrent layers, and other loops of a fixed number of rounds: unrolled, so that a file has operators for every step."""

import keras
import numpy as np
import pytest

import kerasq
from converters.same_results import converted
from converters.zoo import L
from kerasq import format as kq
from kerasq_convert import ConversionError

ops = keras.ops


def chain(*layers, shape=(6, 4), **options):
    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.Input(shape, **options), *layers])


def loop(function, rounds=3):
    return L.Lambda(lambda x: ops.fori_loop(0, rounds, lambda number, value: function(value), x), name="it")


NETWORKS = {
    "SimpleRNN, 30 steps": lambda: chain(L.SimpleRNN(5), L.Dense(3), shape=(30, 4)),
    "GRU, 16 steps": lambda: chain(L.GRU(4), shape=(16, 2)),
    "GRU of every step": lambda: chain(L.GRU(5, return_sequences=True), L.Dense(3)),
    "GRU, reset before the product": lambda: chain(L.GRU(5, reset_after=False)),
    "GRU backwards": lambda: chain(L.GRU(5, go_backwards=True, return_sequences=True)),
    "LSTM unrolled by Keras": lambda: chain(L.LSTM(5, unroll=True), shape=(4, 3)),
    "two in a row": lambda: chain(L.LSTM(4, return_sequences=True), L.GRU(3), shape=(4, 3)),
    "Bidirectional": lambda: chain(L.Bidirectional(L.GRU(4)), shape=(4, 3)),
    "Bidirectional of every step": lambda: chain(L.Bidirectional(L.SimpleRNN(4, return_sequences=True)), shape=(4, 3)),
    "cells": lambda: chain(L.RNN([L.GRUCell(3), L.LSTMCell(4)]), shape=(4, 3)),
    "one step": lambda: chain(L.LSTM(4), shape=(1, 3)),
    "after a Dense of every step": lambda: chain(L.TimeDistributed(L.Dense(3, activation="tanh")), L.GRU(3), shape=(4, 3)),
    "a loop": lambda: chain(L.Dense(4), loop(lambda value: ops.tanh(value) * 1.5), shape=(4,)),
    "a loop in a loop": lambda: chain(
        L.Dense(4), loop(lambda value: ops.fori_loop(0, 2, lambda number, inner: ops.tanh(inner) * 1.5 + 0.1, value)), shape=(4,)
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_computes_what_keras_computes(name):
    converted(NETWORKS[name](), decibels=25)


def test_all_inputs_of_a_state_and_its_outputs():
    keras.utils.set_random_seed(3)
    x = keras.Input((3, 3))
    y, hidden, cell = L.LSTM(3, return_state=True, return_sequences=True)(x)
    converted(keras.Model(x, [L.Dense(2)(y), L.GRU(3)(y, initial_state=hidden), cell]), decibels=25)


@pytest.fixture(scope="module")
def lstm():
    return converted(chain(L.LSTM(5, name="it"), shape=(8, 4)), decibels=25)


def test_a_kernel_is_the_same_at_every_step(lstm):
    kernels = [
        tensor.data.tobytes() for tensor in lstm.constants() if tensor.name.endswith("kernel") and tensor.data.size in (20, 25)
    ]
    assert len(kernels) > 2 * 8
    assert len(set(kernels)) == 2 * 4  # four gates, what each reads of the step and of the state


def test_a_step_takes_few_operators(lstm):
    kinds = [operator.kind for operator in lstm.operators]
    assert kinds.count("ADD") == 7  # but the first, each adds to the cell state; sums of kernels are addends
    assert len(kinds) < 8 * 18


def test_the_cell_state_has_16_bits(lstm):
    sums = [lstm.tensors[operator.outputs[0]].format for operator in lstm.operators if operator.kind == "ADD"]
    assert {str(format_.family) for format_ in sums} == {"FIXED16"}
    read = {index for operator in lstm.operators if operator.kind in ("CONV_2D", "DENSE") for index in operator.inputs}
    assert all(lstm.tensors[index].format.bits == 8 for index in read - {kq.model.ABSENT} if not lstm.tensors[index].is_constant)


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (lambda: chain(L.SimpleRNN(2, name="it"), shape=(65, 2)), "over more than 64 time steps.*Conv1D"),
        (lambda: chain(L.Masking(), L.GRU(2, name="it")), "or with a mask"),
        (lambda: chain(L.GRU(2, stateful=True, name="it"), batch_size=2), "one call to the next.*stateful=False"),
        (lambda: chain(L.GRU(2, stateful=True, unroll=True, name="it"), batch_size=1), "one call to the next.*stateful=False"),
        (
            lambda: chain(L.Lambda(lambda x: ops.while_loop(lambda v: ops.sum(v) < 3, lambda v: (v + 1,), (x,))[0], name="it")),
            "as many as the input says",
        ),
    ],
)
def test_what_can_not_be_unrolled_is_refused(network, reason):
    with pytest.raises(ConversionError, match=f"layer 'it'.*{reason}"):
        kerasq.convert(network())


def test_a_state_is_refused_together_with_all_else():
    gru = L.GRU(2, stateful=True, unroll=True, return_sequences=True, name="it")
    layers = (gru, L.Lambda(lambda x: ops.sort(x, axis=1), name="order"))
    with pytest.raises(ConversionError) as caught:
        kerasq.convert(chain(*layers, batch_size=1))
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["layer 'it' (GRU)", "layer 'order' (Lambda)"]


def test_a_saved_model_converts_as_the_model_does(tmp_path):
    model, x = chain(L.GRU(3, name="it"), shape=(3, 2)), np.random.default_rng(0).normal(size=(16, 3, 2)).astype(np.float32)
    model.export(tmp_path / "saved", verbose=False)
    found = [kq.loads(kerasq.convert(source, representative_dataset=x)) for source in (model, tmp_path / "saved")]
    assert [operator.kind for operator in found[0].operators] == [operator.kind for operator in found[1].operators]
