"""The binding to the C library: it declares what the headers declare, and a network keeps what it needs."""

from __future__ import annotations

import dataclasses
import gc
import pathlib
import re
import threading

import numpy as np
import pytest

import kerasq
from c_compiler import compile_program
from kerasq import format as file_format
from kerasq.format import writer
from kerasq.ops import TABLE
from kerasq.runtime import Network, library
from networks import random_resnet23, random_stored

pytestmark = pytest.mark.skipif(not kerasq.runtime.available(), reason="the native engine is not installed")

HEADERS = pathlib.Path(kerasq.runtime.__file__).parent / "include"


@pytest.fixture(scope="module")
def model():
    return random_resnet23("SIGN", maps=8, size=16)


@pytest.fixture(scope="module")
def content(model):
    return file_format.dumps(model)


@pytest.fixture
def images(model):
    (tensor,) = [model.tensors[index] for index in model.inputs]
    return random_stored(np.random.default_rng(0), tensor.format, (6, *tensor.shape[1:]))


def test_every_function_of_the_headers_is_declared():
    text = "".join((HEADERS / name).read_text() for name in ("kerasq.h", "kerasq_native.h"))
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    declared = {
        name: [] if arguments == "void" else arguments.split(",")
        for name, arguments in re.findall(r"^\w[\w \*]*?(kq_\w+)\(([^;{]*)\);", code, flags=re.MULTILINE)
    }
    assert set(declared) == set(library._PROTOTYPES)
    for name, (_, *arguments) in library._PROTOTYPES.items():
        assert len(arguments) == len(declared[name]), name


def loaded(folder, monkeypatch, source):
    """What `library.load` makes of a shared library with this source."""
    path, code = folder / "other.so", folder / "other.c"
    code.write_text("#include <stdlib.h>\n" + source)
    compile_program([code], path, "-shared", "-fPIC", "-Wno-missing-prototypes", f"-I{HEADERS}")
    monkeypatch.setenv("KERASQ_LIBRARY", str(path))
    return library.load.__wrapped__()


CALLED = "const char *kq_native_tier(unsigned i); const char *kq_native_tier(unsigned i) { (void)i; abort(); }\n"
ANSWER = """#include "kerasq_native.h"
static const kq_interface answer = {{{}}};
const kq_interface *kq_native_interface(void) {{ return &answer; }}
"""


def test_an_older_library_is_refused(tmp_path, monkeypatch):
    with pytest.raises(kerasq.runtime.LibraryMissingError, match=r"other\.so .* older.*KERASQ_LIBRARY"):
        loaded(tmp_path, monkeypatch, CALLED)


@pytest.mark.parametrize("field", range(len(library.Interface._fields_)))
def test_a_library_with_another_interface_is_refused(tmp_path, monkeypatch, field):
    numbers = [getattr(library.INTERFACE, name) for name, *_ in library.Interface._fields_]
    numbers[field] += 4
    with pytest.raises(kerasq.runtime.LibraryMissingError, match=rf"{library.Interface._fields_[field][0]} {numbers[field]}"):
        loaded(tmp_path, monkeypatch, ANSWER.format(", ".join(map(str, numbers))))


def test_tiers_begin_with_the_portable_one():
    assert kerasq.runtime.tiers()[0] == "portable"
    assert len(set(kerasq.runtime.tiers())) == len(kerasq.runtime.tiers())


@pytest.mark.parametrize("tier", kerasq.runtime.tiers() if kerasq.runtime.available() else ())
def test_operators(model, content, tier):
    network = Network(content, tier)
    assert network.isa == tier
    found = network.operators()
    assert [operator.output for operator in found] == [operator.outputs[0] for operator in model.operators]
    assert [operator.macs for operator in found] == [TABLE[operator.kind].macs(model, operator) for operator in model.operators]
    for operator, info in zip(model.operators, found, strict=True):
        assert info.kernel.startswith(f"kq_{operator.kind.lower()}")


def test_portable_kernels_need_no_more_than_the_file_says(model, content):
    network = Network(content, "portable")
    assert network.arena_bytes == model.arena_bytes
    assert network.arena().shape == (1, -(-model.arena_bytes // model.arena_alignment) * model.arena_alignment)


@pytest.mark.parametrize("tier", kerasq.runtime.tiers() if kerasq.runtime.available() else ())
def test_places_of_tensors(model, content, tier):
    network = Network(content, tier)
    arenas = network.arena(3)
    assert arenas.shape[0] == 3
    assert arenas.shape[1] >= network.arena_bytes
    for index, tensor in enumerate(model.tensors):
        if tensor.is_constant:
            continue
        place = network.tensor(index, arenas)
        assert place.shape == (3, tensor.nbytes)
        assert (place.ctypes.data - arenas.ctypes.data) % model.arena_alignment == 0
        assert np.shares_memory(place, arenas)


def test_a_network_keeps_the_bytes_alive(content, images):
    network = Network(bytes(bytearray(content)))
    gc.collect()
    outputs = [np.empty((2, len(images), 10), np.int8) for _ in range(2)]
    Network(content).run(Network(content).arena(), [images], [outputs[0][0]])
    network.run(network.arena(), [images], [outputs[1][0]])
    np.testing.assert_array_equal(outputs[0][0], outputs[1][0])


@pytest.mark.parametrize("shift", range(16))
def test_bytes_may_lie_anywhere(content, images, shift):
    memory = np.zeros(len(content) + 16, np.uint8)
    memory[shift : shift + len(content)] = np.frombuffer(content, np.uint8)
    results = []
    for bytes_like in (content, memory[shift : shift + len(content)].data):
        network = Network(bytes_like)
        results.append(np.empty((len(images), 10), np.int8))
        network.run(network.arena(), [images], [results[-1]])
    np.testing.assert_array_equal(*results)


def test_threads_share_a_network(content, images):
    network = Network(content)
    expected = np.empty((len(images), 10), np.int8)
    network.run(network.arena(), [images], [expected])
    found = [np.empty_like(expected) for _ in range(4)]
    arenas = [network.arena() for _ in found]

    def repeat(arena: np.ndarray, result: np.ndarray) -> None:
        for _ in range(20):
            network.run(arena, [images], [result])

    threads = [threading.Thread(target=repeat, args=pair) for pair in zip(arenas, found, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in found:
        np.testing.assert_array_equal(result, expected)


def test_refusals_name_what_they_concern(model):
    operators = list(model.operators)
    operators[3] = operators[3].replace(clamp=(7, 3))
    broken = dataclasses.replace(model, operators=tuple(operators))
    with pytest.raises(file_format.ModelError, match=r"operator 3\b.*: \w"):
        Network(writer.unverified(broken, 2))
    for content in (b"", b"KRSQ"):
        with pytest.raises(file_format.ModelError, match=r"not a \.kq file"):
            Network(content)


def test_nothing_but_the_public_functions_is_exported():
    """Another library in the process may have functions of the same names."""
    for name in ("kq_load", "kq_verify", "kq_read_structure", "kq_bits"):
        assert not hasattr(library.load(), name)
