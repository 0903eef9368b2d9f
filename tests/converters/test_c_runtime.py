"""Which sources a list of kernels needs: as the text of the sources tells it, and as a linker sees it."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from kerasq.conformance.samples import SAMPLES
from kerasq.format import dumps
from kerasq.runtime import DSP, Network
from kerasq_convert.c_runtime import dependencies, runtime_source


def linked(command: list[str], folder) -> dict[str, set[str]]:
    """By source: the sources of what it leaves undefined."""
    for name, content in runtime_source().items():
        (folder / name).write_bytes(content)
    sources = sorted(path.name for path in folder.glob("*.c"))
    subprocess.run([*command, "-std=c99", "-O1", "-w", "-c", *sources], cwd=folder, check=True)
    nm = command[0].replace("gcc", "nm")
    objects = [f"{name[:-2]}.o" for name in sources]
    listing = subprocess.run([nm, "--format=posix", *objects], cwd=folder, capture_output=True, text=True, check=True).stdout
    defined, undefined = {}, {}
    for part in re.split(r"^(?=\S+\.o:$)", listing, flags=re.MULTILINE)[1:]:
        source = part[: part.index(":")].replace(".o", ".c")
        symbols = [line.split()[:2] for line in part.splitlines()[1:]]
        defined |= {name: source for name, kind in symbols if kind in "TRDBV"}
        undefined[source] = {name for name, kind in symbols if kind == "U"}
    return {source: {defined[name] for name in names if name in defined} - {source} for source, names in undefined.items()}


@pytest.mark.parametrize(
    "command", [["gcc"], ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb"]], ids=["host", "with the DSP extension"]
)
def test_text_and_linker_agree(command, tmp_path):
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    seen = linked(command, tmp_path)
    del seen["kq_portable_kernels.c"]  # needs all kernels, by a macro in a header; no firmware takes it
    assert {source: {name for name in dependencies()[source] if name.endswith(".c")} for source in seen} == seen
    assert len(seen) > 50


def test_only_what_a_kernel_needs():
    some = runtime_source(["kq_lookup"])
    assert {"kerasq.h", "kq_network.c", "kq_selftest.c", "kq_describe.c", "kq_lookup.c", "kq_lookup_rules.c"} <= set(some)
    assert not set(some) & {
        "kq_conv.c",
        "kq_dot.c",
        "kq_float.c",
        "kq_arm_rows.c",
        "kq_portable_kernels.c",
        "kerasq_native.h",
        "kq_add_rules.c",
    }
    more = runtime_source(["kq_lookup", "kq_conv_2d_s8_s8_dsp"])
    assert set(more) - set(some) >= {"kq_conv_dsp.c", "kq_arm_finish.c", "kq_arm_finish.h"}
    assert not set(more) & {"kq_conv.c", "kq_conv_sign_dsp.c"}


def test_a_kernel_that_there_is_not():
    with pytest.raises(KeyError, match="kq_cubic"):
        runtime_source(["kq_lookup", "kq_cubic"])


@pytest.mark.parametrize("isa", ["portable", DSP])
@pytest.mark.parametrize("sample", SAMPLES)
def test_the_rules_are_those_of_the_kinds_that_kernels_compute(sample, isa):
    model = SAMPLES[sample]()
    files = runtime_source({operator.kernel for operator in Network(dumps(model), isa).operators()})
    kinds = set(re.findall(r"X\((\w+), ", files["kq_kinds.h"].decode()))
    assert {str(operator.kind) for operator in model.operators} <= kinds
    shared = {"kq_rules.c", "kq_window_rules.c", "kq_weighted_rules.c"}
    assert {name for name in files if name.endswith("_rules.c")} - shared == {f"kq_{kind.lower()}_rules.c" for kind in kinds}


REFUSED = """
#include <stdio.h>
#include "kerasq_kernels.h"
static _Alignas(16) const uint8_t data[] = {%s};
static uint64_t state[KQ_STATE_BYTES(%d, %d) / 8];
int main(void) {
  const kq_kernel *const kernels[] = {&kq_reshape};
  const kq_kernels list = {.list = kernels, .count = 1};
  size_t bytes = sizeof state;
  const kq_network *network;
  kq_error error;
  puts(kq_status_text(kq_prepare(data, sizeof data, &list, state, &bytes, &network, &error)));
  return 0;
}
"""


def test_a_network_of_other_kinds_is_refused(tmp_path):
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    model = SAMPLES["gated"]()
    program = REFUSED % (",".join(map(str, dumps(model))), len(model.tensors), len(model.operators))
    for name, content in {**runtime_source(["kq_reshape"]), "main.c": program.encode()}.items():
        (tmp_path / name).write_bytes(content)
    sources = sorted(path.name for path in tmp_path.glob("*.c"))
    subprocess.run(["gcc", "-std=c11", "-O1", *sources, "-o", "program"], cwd=tmp_path, check=True)
    text = subprocess.run([tmp_path / "program"], capture_output=True, text=True, check=True).stdout
    assert "none of the given kernels computes an operator" in text
