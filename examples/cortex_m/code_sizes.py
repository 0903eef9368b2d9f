"""What the linker keeps of the runtime for each kernel, and what the runtime keeps of a network."""

import pathlib
import re
import tempfile
from collections import defaultdict

from firmware import call, compile_all, kept_sections, linking, runtime_compiler, runtime_objects
from processors import PROCESSORS

from kerasq.runtime import DSP
from kerasq_convert.c_runtime import KINDS, runtime_source

# What a firmware calls, with a list of some kernels.
_PROGRAM = """
#include "board.h"
#include "kerasq_kernels.h"
static uint64_t state[64], arena[64];
extern const uint8_t model[];
const uint8_t model[64] = {{1}};
static const kq_kernel *const list[] = {{{}}};
int main(void) {{
  const kq_kernels kernels = {{list, sizeof list / sizeof list[0]}};
  const kq_network *network;
  size_t bytes = sizeof state;
  if (kq_prepare(model, sizeof model, &kernels, state, &bytes, &network, NULL) != KQ_OK) return 1;
  const kq_status status = kq_selftest(network, arena, NULL);
  if (status != KQ_OK) print_text(kq_status_text(status));
  kq_invoke(network, arena);
  print_number((int32_t)kq_arena_bytes(network));
  return *(uint8_t *)kq_tensor_data(network, kq_input(network, 0), arena);
}}
"""


def code_sizes(cpu: str, isa: str) -> list[dict]:
    """Parts of the runtime: bytes of code and of constants, and the kernels any of which needs them (none: every network).

    A program links what its kernels reach, and the rules of the kinds that they compute, so parts of two kernels add up to what
    both need: each part is counted once.
    """
    with tempfile.TemporaryDirectory() as name:
        build = _Build(pathlib.Path(name), cpu)
        kernels = build.kernels(isa)
        sections = {kernel: build.sections(kernel) for kernel in kernels}
    everywhere = set.intersection(*map(set, sections.values()))
    needed_by: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0])
    sizes = {section: size for kept in sections.values() for section, size in kept.items()}
    for section, size in sizes.items():
        users = () if section in everywhere else tuple(kernel for kernel in kernels if section in sections[kernel])
        needed_by[users][section[0] != "text"] += size
    return [{"kernels": [*users], "code": code, "constants": constants} for users, (code, constants) in needed_by.items()]


def state_sizes(cpu: str) -> dict[str, int]:
    """Bytes of the state: of the network itself, of a tensor, of an operator."""
    names = ("network", "tensor", "operator")
    source = "".join(f"char {name}[KQ_{name.upper()}_BYTES];\n" for name in names)
    with tempfile.TemporaryDirectory() as name:
        build = _Build(pathlib.Path(name), cpu)
        path = build.compiled("state", f'#include "kerasq.h"\n{source}')
        symbols = call([f"{PROCESSORS[cpu].tools}nm", "--format=posix", path])
    sizes = dict(re.findall(r"^(\w+) \w \w+ (\w+)", symbols, re.MULTILINE))
    return {name: int(sizes[name], 16) for name in names}


class _Build:
    """The runtime, compiled for a processor when it is first needed."""

    def __init__(self, folder: pathlib.Path, cpu: str) -> None:
        self._folder, self._processor = folder, PROCESSORS[cpu]
        self._compile = runtime_compiler(folder, self._processor)
        self._objects: list[str] = []

    def compiled(self, name: str, text: str) -> str:
        """The object file of a program's text."""
        source = self._folder / f"{name}.c"
        source.write_text(text)
        (path,) = compile_all(self._compile, [source], self._folder)
        return path

    def kernels(self, isa: str) -> list[str]:
        """Names of those that a network in fixed point may use."""
        lists = ["KQ_DSP_KERNELS", "KQ_PORTABLE_KERNELS"] if isa == DSP else ["KQ_PORTABLE_KERNELS"]
        source = self._folder / "names.c"
        source.write_text('#include "kerasq_kernels.h"\n' + "".join(f"{name}(NAME)\n" for name in lists))
        text = call([*self._compile, "-E", "-P", str(source)])
        names = re.findall(r"NAME\((\w+)\)", text)
        return [name for name in names if not name.endswith(("_float", "_mixed"))]

    def sections(self, kernel: str) -> dict[tuple[str, str, str], int]:
        """Bytes of what a program with a kernel links of the runtime and of libraries, by kind, name and object file."""
        if not self._objects:
            self._objects = runtime_objects(self._compile, self._folder, self._processor)
        (self._folder / KINDS).write_bytes(runtime_source([kernel])[KINDS])
        compile_all(self._compile, [self._folder / "kq_rules.c"], self._folder)  # in place of the one with all kinds
        main = self.compiled("main", _PROGRAM.format(f"&{kernel}"))
        path, map_file = self._folder / "sizes.elf", self._folder / "sizes.map"
        last = [*linking(self._processor), f"-Wl,-Map,{map_file}", "-o", str(path)]
        call([*self._compile, *self._objects, main, *last])
        return kept_sections(map_file.read_text())
