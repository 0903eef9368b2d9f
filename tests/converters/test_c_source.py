"""--emit_c and --embed_test: C files that any C99 compiler takes and that compute what the reference engine computes."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess

import numpy as np
import pytest

import kerasq.runtime
from c_compiler import RUNTIME, compile_program, compiler
from kerasq import format as file_format
from kerasq.conformance.samples import SAMPLES
from kerasq.interpreter import Interpreter
from kerasq.runtime import DSP
from kerasq.selftest import random_example, with_selftest
from kerasq_convert.c_source import c_source, comment, runtime_source
from kerasq_convert.command import main
from networks import NetworkBuilder, random_resnet23

native = pytest.mark.skipif(
    not kerasq.runtime.available(), reason="the native library, which names the kernels, is not installed"
)

# Prints the stored outputs for the input on standard input, as bytes; exit status 3 if the test vector fails.
PROGRAM = r"""
#include <stdio.h>
#include "small_net.h"

static uint64_t arena[SMALL_NET_ARENA_BYTES / 8 + 1];
static uint64_t state[SMALL_NET_STATE_BYTES / 8];

int main(void) {
  size_t state_bytes = sizeof state;
  const kq_network *network;
  kq_error error;
  if (kq_prepare(small_net_data, SMALL_NET_BYTES, &small_net_kernels, state, &state_bytes, &network, &error) != KQ_OK) return 2;
  if (kq_selftest(network, arena, &error) != KQ_OK) return 3;
  small_net_input_0 *const input = kq_tensor_data(network, kq_input(network, 0), arena);
  if (fread(input, 1, SMALL_NET_INPUT_0_BYTES, stdin) != SMALL_NET_INPUT_0_BYTES) return 4;
  kq_invoke(network, arena);
  const small_net_output_0 *const output = kq_tensor_data(network, kq_output(network, 0), arena);
  fwrite(output, sizeof *output, SMALL_NET_OUTPUT_0_ELEMENTS, stdout);
  return 0;
}
"""


@pytest.fixture(scope="module")
def model():
    return random_resnet23("SIGN", maps=8, size=16)


@pytest.fixture
def folder(tmp_path, monkeypatch, model):
    monkeypatch.chdir(tmp_path)
    file_format.dump(model, "net.kq")
    np.save("images.npy", np.random.default_rng(1).integers(0, 256, (4, 16, 16, 3)).astype(np.uint8))
    return tmp_path


def convert(*arguments: str) -> int:
    return main(["kerasq-convert", *arguments])


@native
@pytest.mark.parametrize("source", ["resnet23", "offset"])
def test_compiled_files_compute_what_the_reference_engine_computes(folder, model, source):
    if source == "offset":  # has operators that some kernels which are tried first pass over
        model = SAMPLES["offset"]()
        file_format.dump(model, "net.kq")
        np.save("images.npy", np.random.default_rng(1).integers(0, 256, (4, 6, 5, 8)).astype(np.uint8))
    flags = ["--emit_c=c", "--c_name=small_net", "--c_runtime", "--embed_test=images.npy"]
    assert convert("net.kq", *flags) == 0
    (folder / "program.c").write_text(PROGRAM)
    sources = folder / "c" / "src"
    program = compile_program([folder / "program.c", *sorted(sources.glob("*.c"))], folder / "program", f"-I{sources}")
    image = np.load("images.npy")[2:3]
    result = subprocess.run([program], input=image.tobytes(), capture_output=True, check=False, timeout=60)
    assert result.returncode == 0
    expected = Interpreter(model_content=model, engine="reference").predict(image, raw=True)
    assert result.stdout == expected.tobytes()


# fmt: off
ODD_NAMES = [
    "auto", "int", "inline", "restrict", "class", "template", "typename", "asm", "typeof", "nullptr", "bool", "true",
    "alignas", "static_assert", "main", "NULL", "EOF", "INT8", "uint8_t", "INT_MAX", "linux", "unix", "i386", "x_",
    "a__b", "errno_t", "SIZE", "SIG", "sizeof", "kernels", "data", "arena", "network", "KERASQ_MODEL", "kerasq_h", "E0",
    "M_PI",
]
REFUSED = [
    "__", "kerasq", "kq", "KQ_INTERNAL", "KQ_ARITHMETIC", "KERASQ_FORMAT", "KERASQ_NATIVE", "KQ", "kQ_state", "time", "Math",
]
# fmt: on


@native
def test_a_name_is_refused_or_compiles(folder, model):
    content, accepted = file_format.dumps(model), []
    for name in ODD_NAMES + REFUSED:
        try:
            files = c_source(content, name)
        except ValueError:
            continue
        accepted.append(name)
        for path, text in files.items():
            (folder / path).write_bytes(text)
    assert accepted == ODD_NAMES
    sources = [f"{name}.c" for name in accepted]
    for language in (["-x", "c", "-std=c99"], ["-x", "c", "-std=gnu11"], ["-x", "c++", "-fpermissive", "-w"]):
        with_headers = ["-I.", f"-I{RUNTIME / 'include'}", "-fsyntax-only", "-Werror", *sources]
        done = subprocess.run([*compiler(), *language, *with_headers], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@native
def test_header_says_what_a_program_must_know(model):
    content = file_format.dumps(model)
    files = {name: data.decode("ascii") for name, data in c_source(content, "small_net", "net.kq").items()}
    macros = dict(re.findall(r"#define (\w+) (.+)", files["small_net.h"]))
    assert macros["SMALL_NET_BYTES"] == f"{len(content)}u"
    assert macros["SMALL_NET_ARENA_BYTES"] == f"{model.arena_bytes}u"
    assert macros["SMALL_NET_ARENA_ALIGNMENT"] == str(model.arena_alignment)
    assert macros["SMALL_NET_STATE_BYTES"] == f"KQ_STATE_BYTES({len(model.tensors)}u, {len(model.operators)}u)"
    assert macros["SMALL_NET_INPUT_0_BYTES"] == "768u"
    assert macros["SMALL_NET_OUTPUT_0_FRAC_BITS"] == "4"
    assert "typedef uint8_t small_net_input_0;" in files["small_net.h"]
    words = re.findall(r"0x([0-9a-f]{8})", files["small_net.c"])
    assert b"".join(int(word, 16).to_bytes(4, "little") for word in words)[: len(content)] == content


@native
def test_only_the_kernels_that_the_network_uses_are_listed(model):
    source = c_source(file_format.dumps(model))["kerasq_model.c"].decode()
    lists = [kernels.split(", ") for kernels in re.findall(r"kernels\[\] = {(.*)};", source)]
    assert re.findall(r"^#.*", source, re.MULTILINE)[2:5] == [
        "#if defined(__ARM_FEATURE_DSP) && !defined(KQ_PORTABLE)",
        "#else",
        "#endif",
    ]
    for isa, kernels in zip((DSP, "portable"), lists, strict=True):
        used = {operator.kernel for operator in kerasq.runtime.Network(file_format.dumps(model), isa).operators()}
        assert len(kernels) == len(used)
        assert {kernel.removeprefix("&") for kernel in kernels} == used
        declared = (RUNTIME / "include" / "kerasq_kernels.h").read_text()
        assert {"kq_add_dsp" if isa == DSP else "kq_add", "kq_reshape"} <= used
        assert all(name in declared for name in used if not re.match("kq_(conv|dense)", name))
        processors = [name.endswith("_dsp") for name in kernels]
        assert processors == sorted(processors, reverse=True)  # the first that accepts an operator is taken


@native
def test_header_calls_inputs_and_outputs_as_users_do():
    header = c_source(file_format.dumps(SAMPLES["named"]()))["kerasq_model.h"].decode("ascii")
    comments = re.findall(r"/\* (.*): 4 values.*\*/\ntypedef \w+ kerasq_model_(\w+);", header)
    assert comments == [("links", "input_0"), ("rechts", "input_1"), (r"gr\xf6\xdfe", "output_0"), ("sum", "output_1")]


@native
def test_names_of_tensors_can_not_leave_the_comment():
    net = NetworkBuilder()
    x = net.activation("x */ int y; /* \n \u2028 \\", (1, 4), "FIXED8_0")
    y = net.apply("QUANTIZE", (x,), "FLOAT32", "y")
    header = c_source(file_format.dumps(net.build((x,), (y,))), title="a*/b")["kerasq_model.h"].decode("ascii")
    assert header.count("/*") == header.count("*/")
    assert "* / int y; / *" in header
    assert "typedef float kerasq_model_output_0;" in header
    assert comment("**//") == "** //"


def test_runtime_is_all_that_a_firmware_compiles():
    names = set(runtime_source())
    assert {"kerasq.h", "kerasq_kernels.h", "kq_internal.h", "kq_network.c", "kq_selftest.c"} <= names
    assert not names & {"kerasq_native.h", "kq_native.c"}


def test_embeds_the_first_example(folder, model):
    assert convert("net.kq", "--embed_test", "images.npy", "--output", "tested.kq") == 0
    expected = with_selftest(model, [np.load("images.npy")])
    assert file_format.load("tested.kq").test == expected.test
    assert (folder / "tested.kq").read_bytes() == file_format.dumps(expected)
    np.save("one.npy", np.load("images.npy")[0])
    assert convert("tested.kq", "--embed_test=one.npy", "--output=tested.kq") == 0
    assert (folder / "tested.kq").read_bytes() == file_format.dumps(expected)


def test_embeds_noise(folder, model, capsys):
    assert convert("net.kq", "--embed_test=random", "--output=tested.kq", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"output": "tested.kq", "written": ["tested.kq"]}
    assert file_format.load("tested.kq").test == with_selftest(model, random_example(model)).test


def test_embeds_an_example_of_several_inputs(folder):
    net = NetworkBuilder()
    a, b = net.activation("a", (1, 4), "FIXED8_4"), net.activation("b", (1, 4), "FIXED8_4")
    file_format.dump(net.build((a, b), (net.apply("ADD", (a, b), "FIXED8_3", "total"),)), "two.kq")
    np.save("a.npy", np.array([[1, 2, 3, 4]], np.int8))
    np.save("b.npy", np.array([[0.5, 0.25, -1, -9]]))
    assert convert("two.kq", "--embed_test=a.npy", "--embed_test=b.npy", "--output=tested.kq") == 0
    assert file_format.load("tested.kq").test.input == bytes([1, 2, 3, 4, 8, 4, 240, 128])


def test_plans_memory_anew(folder, capsys):
    net = NetworkBuilder()
    x = net.activation("x", (1, 4, 4, 8), "FIXED8_4")
    y = net.apply("QUANTIZE", (x,), "FIXED8_4", "y")
    z = net.apply("ADD", (y, y), "FIXED8_3", "z")
    wasteful = net.build((x,), (z,))
    offsets = iter(range(0, 4096, 1024))
    tensors = tuple(t if t.is_constant else dataclasses.replace(t, offset=next(offsets)) for t in wasteful.tensors)
    wasteful = dataclasses.replace(wasteful, tensors=tensors, arena_bytes=4096)
    file_format.dump(with_selftest(wasteful, random_example(wasteful)), "wasteful.kq")
    assert convert("wasteful.kq", "--replan", "--output=planned.kq") == 0
    assert "arena  128 bytes, optimal" in capsys.readouterr().out
    planned = file_format.load("planned.kq")
    assert planned.arena_bytes == 128
    assert planned.test == file_format.load("wasteful.kq").test
    data = random_example(planned)[0]
    np.testing.assert_array_equal(*(kerasq.Interpreter(f"{name}.kq").predict(data) for name in ("wasteful", "planned")))
    assert convert("planned.kq", "--replan", "--output=again.kq") == 0
    assert "no smaller plan was found" in capsys.readouterr().out
    assert (folder / "again.kq").read_bytes() == (folder / "planned.kq").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["net.kq"], 2, "converted already: give --emit_c, or --output with --embed_test or --replan"),
        (["net.kq", "--replan"], 2, "--output"),
        (["net.keras", "--replan"], 2, "--replan is for .kq files"),
        (["net.kq", "--embed_test=random"], 2, "--output"),
        (["net.kq", "--emit_c=c", "--settings=s.yaml"], 2, "--settings can't be used"),
        (["net.kq", "--embed_test=random", "--output=x.kq", "--c_name=net"], 2, "go with --emit_c"),
        (["net.kq", "--embed_test=none.npy", "--output=x.kq"], 1, "none.npy"),
        (["net.kq", "--embed_test=images.npy", "--embed_test=images.npy", "--output=x.kq"], 1, "has 1 input ('image')"),
        (["net.kq", "--embed_test=wrong.npy", "--output=x.kq"], 1, "'image' must have shape (batch, 16, 16, 3)"),
        (["damaged.kq", "--embed_test=random", "--output=x.kq"], 1, "damaged.kq is not a usable kerasq model"),
        (["none.kq", "--embed_test=random", "--output=x.kq"], 1, "none.kq: No such file"),
        pytest.param(["net.kq", "--emit_c=c", "--c_name=1st"], 2, "letters, digits and underscores", marks=native),
        pytest.param(["net.kq", "--emit_c=c", "--c_name=kerasq"], 2, "none of kerasq", marks=native),
        pytest.param(["net.kq", "--emit_c=c", "--c_name=KERASQ"], 2, "in capitals neither", marks=native),
        pytest.param(["net.kq", "--emit_c=c", "--c_name=KQ_STATE"], 2, "not with kq_", marks=native),
        pytest.param(["net.kq", "--emit_c=c", "--c_name=kq"], 2, "not with kq_", marks=native),
        pytest.param(["net.kq", "--emit_c=c", "--c_name=Kerasq_Kernels"], 2, "none of kerasq", marks=native),
        pytest.param(["net.kq", "--emit_c=c", "--c_name=stdint"], 2, "stdint.h is a header of C", marks=native),
        pytest.param(["net.kq", "--emit_c=c", "--c_name=String"], 2, "string.h is a header of C", marks=native),
        pytest.param(["net.kq", "--emit_c=c", "--c_name=con"], 2, "can't be the name of a file", marks=native),
        pytest.param(["net.kq", "--emit_c=c", "--c_name=größe"], 2, "letters, digits and underscores", marks=native),
        pytest.param(["net.kq", "--emit_c=c", "--c_name=a.b"], 2, "letters, digits and underscores", marks=native),
        pytest.param(["net.kq", "--emit_c=c", "--c_name=../a"], 2, "letters, digits and underscores", marks=native),
        pytest.param(["net.kq", "--emit_c=c", "--c_name=" + "x" * 101], 2, "at most 100 characters", marks=native),
        (["net.kq", "--embed_test=nan.npy", "--output=x.kq"], 1, "finite numbers only. Received for 'image': 2 values"),
        pytest.param(["net.kq", "--emit_c=net.kq"], 1, "net.kq", marks=native),
        pytest.param(["net.kq", "--emit_c=c", "--embed_test=random", "--output=none/x.kq"], 1, "none/x.kq", marks=native),
        pytest.param(["damaged.kq", "--emit_c=c"], 1, "damaged.kq is not a usable", marks=native),
    ],
)
def test_failures_exit_with_a_reason_and_write_nothing(folder, capsys, arguments, status, words):
    (folder / "damaged.kq").write_bytes((folder / "net.kq").read_bytes()[:3000])
    np.save("wrong.npy", np.zeros((2, 3)))
    unusable = np.zeros((2, 16, 16, 3))
    unusable[0, 3, 4] = np.nan, np.inf, 1.0
    np.save("nan.npy", unusable)
    before = sorted(folder.rglob("*"))
    assert convert(*arguments) == status
    assert words in capsys.readouterr().err
    assert sorted(folder.rglob("*")) == before


def test_without_the_native_library_emit_c_says_what_to_do(folder, capsys, monkeypatch):
    monkeypatch.setenv("KERASQ_LIBRARY", str(folder / "none.so"))
    kerasq.runtime.library.load.cache_clear()
    try:
        assert convert("net.kq", "--emit_c=c") == 1
    finally:
        kerasq.runtime.library.load.cache_clear()
    assert "native library is not installed" in capsys.readouterr().err
    assert not (folder / "c").exists()
