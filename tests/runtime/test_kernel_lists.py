"""Lists of kernels that other versions wrote: they link as they are, and in any order a network computes the same with them."""

import platform
import subprocess

import numpy as np
import pytest

import kerasq.runtime
from c_compiler import PORTABLE, RUNTIME, compile_program
from kerasq.format import dumps
from kerasq.interpreter import Interpreter
from networks import NetworkBuilder

TYPES = [f"{x}_{weight}" for x in ("s8", "u8", "s16", "u16") for weight in ("s8", "sign", "s4", "s16")]
# Every kernel that a list of version 0.1.0 may name.
NAMES_0_1_0 = (
    [f"kq_{kind}_{name}" for kind in ("conv_2d", "dense") for name in [*TYPES, "wide", "to_float", "float"]]
    + [
        f"kq_{kind}{end}"
        for kind in ("add", "max_pool_2d", "average_pool_2d", "reshape", "softmax", "quantize", "mul", "concat", "transpose")
        for end in ("_float", "")
    ]
    + ["kq_lookup"]
)

LIST = """
static const kq_kernel *const kernels[] = {%s};
const kq_kernels %s_kernels = {kernels, sizeof kernels / sizeof kernels[0]};
"""
# Runs the model on standard input, its inputs behind it, with one of the lists; prints all outputs' stored values.
PROGRAM = r"""
#include <stdio.h>
#include <string.h>
#include "kerasq.h"
extern const kq_kernels source_kernels, object_kernels;
static uint64_t file[1 << 16], state[1 << 16], arena[1 << 16];

int main(int count, char **arguments) {
  size_t bytes = fread(file, 1, sizeof file, stdin), state_bytes = sizeof state, model_bytes = 0;
  const kq_network *network;
  if (count < 3 || sscanf(arguments[2], "%zu", &model_bytes) != 1) return 2;
  const kq_kernels *const kernels = strcmp(arguments[1], "object") == 0 ? &object_kernels : &source_kernels;
  if (kq_prepare(file, model_bytes, kernels, state, &state_bytes, &network, NULL) != KQ_OK) return 3;
  const char *input = (const char *)file + model_bytes;
  for (uint32_t i = 0; i < kq_inputs(network); ++i) {
    const kq_tensor_info info = kq_describe_tensor(network, kq_input(network, i));
    memcpy(kq_tensor_data(network, kq_input(network, i), arena), input, info.bytes);
    input += info.bytes;
  }
  if (input != (const char *)file + bytes) return 4;
  kq_invoke(network, arena);
  for (uint32_t i = 0; i < kq_outputs(network); ++i) {
    const uint32_t output = kq_output(network, i);
    fwrite(kq_tensor_data(network, output, arena), 1, kq_describe_tensor(network, output).bytes, stdout);
  }
  return 0;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """Linked with both lists: of source that is compiled with today's headers, and as an object file of that time has it."""
    folder = tmp_path_factory.mktemp("lists")
    names = ", ".join(f"&{name}" for name in NAMES_0_1_0)
    declarations = "".join(f"extern const kq_kernel {name};\n" for name in NAMES_0_1_0)
    (folder / "source.c").write_text('#include "kerasq.h"\n\n#include "kerasq_kernels.h"\n' + LIST % (names, "source"))
    if platform.system() != "Linux":
        declarations = '#include "kerasq_kernels.h"\n'  # other object files know no second name of a constant
    (folder / "object.c").write_text('#include "kerasq.h"\n' + declarations + LIST % (names, "object"))
    (folder / "program.c").write_text(PROGRAM)
    sources = [*folder.glob("*.c"), *PORTABLE]
    return compile_program(sources, folder / "program", f"-I{RUNTIME / 'include'}")


@pytest.fixture(scope="module")
def model():
    """Kinds with kernels for FLOAT32 values among fixed ones: each with a FLOAT32 output, and in 16 bits."""
    net = NetworkBuilder()
    a, b = net.activation("a", (1, 8, 8, 64), "FIXED16_12"), net.activation("b", (1, 8, 8, 64), "FIXED16_3")
    outputs = []
    for form in ("FLOAT32", "FIXED16_2"):
        outputs += [net.apply("ADD", (a, b), form), net.apply("MUL", (a, b), form), net.apply("QUANTIZE", (b,), form)]
        outputs += [net.apply("AVERAGE_POOL_2D", (a,), form, window=(3, 3)), net.apply("CONCAT", (a, outputs[0]), form)]
    return net.build((a, b), tuple(outputs))


@pytest.mark.parametrize("kind", ["source", "object"])
def test_a_list_of_version_0_1_0_links_and_computes_the_same(program, model, kind):
    rng = np.random.default_rng(3)
    inputs = [rng.integers(-(1 << 15), 1 << 15, (1, 8, 8, 64)).astype(np.int16) for _ in range(2)]
    content = dumps(model)
    data = content + b"".join(x.tobytes() for x in inputs)
    done = subprocess.run([program, kind, str(len(content))], input=data, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0
    expected = Interpreter(model_content=model, engine="reference").predict(inputs, raw=True)
    assert done.stdout == b"".join(y.tobytes() for y in expected)


@pytest.mark.skipif(not kerasq.runtime.available(), reason="the native library is not installed")
def test_every_kernel_is_named_for_what_it_computes(model):
    """In integers for FLOAT32, or from both: `mixed`; no `float` kernel has an operator that computes in integers."""
    operators = kerasq.runtime.Network(dumps(model), isa="portable").operators()
    assert {operator.kernel for operator in operators} == {
        *(f"kq_{kind}_mixed" for kind in ("add", "mul", "quantize", "average_pool_2d", "concat")),
        *(f"kq_{kind}" for kind in ("add", "mul", "quantize", "average_pool_2d")),
    }
