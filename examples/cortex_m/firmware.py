"""Compiles a network, the runtime and the program of firmware/ for a processor, and reads off what the runtime takes."""

import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from processors import PACKAGES, PROCESSORS, Processor

from kerasq.format import Model, dumps
from kerasq.format.packing import pack
from kerasq_convert.c_source import DEFAULT_NAME, c_source, kernels_of, networks_of, runtime_source

SOURCES = pathlib.Path(__file__).parent / "firmware"
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wpedantic", "-Werror")
COMPILE = ("-ffunction-sections", "-fdata-sections")
# No start-up code and no system calls of the C library: what little is needed, memcpy for one, are plain functions of it.
LINK = ("-nostartfiles", "-Wl,--gc-sections", "-Wl,--fatal-warnings")

# A line of the linker's map: section, address, size, object file. A long section name has a line of its own.
_PLACED = re.compile(r"^ (\.[\w.$]+)\s+0x[0-9a-f]+\s+0x([0-9a-f]+) (\S+)$", re.MULTILINE)
_KINDS = ("text", "rodata", "data", "bss")
# Floating point in software, the mathematical library, the heap.
_FORBIDDEN = re.compile(
    r"__aeabi_[fd]|__aeabi_u?[il]2[fd]|__\w+[sd]f[23]$|^(malloc|calloc|realloc|free|_?sbrk|_malloc_r|exp|expf|ldexp)$"
)


class BuildError(Exception):
    """The firmware can't be built; the text says why."""


@dataclasses.dataclass(frozen=True)
class Firmware:
    """What was built.

    Attributes:
        path: The program.
        code: Bytes of instructions of the runtime, with those kernels that the network uses and what these need of the compiler's
            library (a division of 64 bits, copying memory). Neither the network nor the program around the runtime counts.
        constants: Bytes of the runtime's constants: error messages, tables.
        variables: Bytes of its variables.
        forbidden: Linked functions that a fixed-point network should not need.
    """

    path: pathlib.Path
    code: int
    constants: int
    variables: int
    forbidden: list[str]


def program_sources(processor: Processor) -> list[pathlib.Path]:
    """What is around the runtime: main.c, and what it needs of a board."""
    return sorted([*SOURCES.glob("*.c"), *(SOURCES / processor.sources).glob("*.c")])


def compiler(processor: Processor, optimize: str) -> list[str]:
    """The compiler as a command; warnings are errors."""
    options = [*processor.options, *(processor.small if optimize == "s" else ()), processor.library]
    return [f"{processor.tools}gcc", *options, f"-O{optimize}", *COMPILE, *WARNINGS]


def linking(processor: Processor) -> list[str]:
    """What the compiler needs to link a program."""
    boards = SOURCES / "boards"
    return [*LINK, f"-L{boards}", "-T", str(boards / processor.script)]


def compile_all(command: list[str], sources: Iterable[pathlib.Path], folder: pathlib.Path) -> list[str]:
    """Object files in a folder, one for each source, which are compiled side by side."""

    def compile_one(source: pathlib.Path) -> str:
        path = str(folder / f"{source.stem}.o")
        call([*command, "-c", str(source), "-o", path])
        return path

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(compile_one, sources))


def runtime_compiler(folder: pathlib.Path, processor: Processor, *options: str) -> list[str]:
    """Writes the runtime with all its kernels into a folder; the compiler as a command for it and for programs that call it."""
    for name, content in runtime_source().items():
        (folder / name).write_bytes(content)
    return [*compiler(processor, "2"), "-std=gnu11", f"-I{folder}", f"-I{SOURCES}", *options]


def runtime_objects(command: list[str], folder: pathlib.Path, processor: Processor) -> list[str]:
    """The object files of the runtime that `runtime_compiler` wrote into a folder, and of what it needs of a board."""
    board = [path for path in program_sources(processor) if path.name != "main.c"]
    return compile_all(command, [*sorted(folder.glob("kq_*.c")), *board], folder)


def build(
    model: Model, cpu: str, examples: list[bytes], folder: pathlib.Path, optimize: str = "s", portable: bool = False
) -> Firmware:
    """A program that runs the test vector of `model` and then `examples`, stored values of its input.

    Args:
        cpu: A name of `PROCESSORS`.
        folder: An empty one for everything that is built.
        optimize: `-O` for the compiler.
        portable: Whether to take the kernels in C99 although the processor has the DSP extension.

    Raises:
        BuildError: A tool is missing or reports an error.
    """
    content = dumps(model)
    kernels = kernels_of(*networks_of(content))
    generated = {**c_source(content), **runtime_source(kernels), "images.h": _images(examples)}
    for name, content in generated.items():
        (folder / name).write_bytes(content)
    processor = PROCESSORS[cpu]
    program = program_sources(processor)
    runtime = sorted(folder / name for name in generated if name.startswith("kq_") and name.endswith(".c"))
    command = [*compiler(processor, optimize), f"-I{folder}", f"-I{SOURCES}", *(["-DKQ_PORTABLE"] if portable else [])]
    compile_all([*command, "-std=c99"], runtime, folder)
    compile_all([*command, "-std=gnu11"], [*program, folder / f"{DEFAULT_NAME}.c"], folder)
    path, map_file = folder / "firmware.elf", folder / "firmware.map"
    objects = [str(path) for path in sorted(folder.glob("*.o"))]
    call([*command, *linking(processor), f"-Wl,-Map,{map_file}", *objects, "-o", str(path)])
    symbols = call([f"{processor.tools}nm", "--format=posix", str(path)])
    return _measured(path, map_file.read_text(), symbols)


def _images(examples: list[bytes]) -> bytes:
    rows = (",".join(map(str, np.frombuffer(example, np.uint8).tolist())) for example in examples)
    lines = [f"#define IMAGES {len(examples)}", f"static const unsigned char images[][{len(examples[0])}] = {{"]
    return "\n".join([*lines, *(f"{{{row}}}," for row in rows), "};", ""]).encode()


def stored(model: Model, array: np.ndarray) -> bytes:
    """Bytes of an example, values or stored integers, as the model's input takes them."""
    form = model.tensors[model.inputs[0]].format
    return pack(array if array.dtype == form.dtype else form.quantize(array), form)


def kept_sections(map_text: str) -> dict[tuple[str, str, str], int]:
    """Bytes of what is linked of the runtime and of libraries, by kind (text, rodata, data, bss), name and object file."""
    placed = map_text[map_text.index("Linker script and memory map") :]
    sizes: dict[tuple[str, str, str], int] = {}
    for section, size, source in _PLACED.findall(placed):
        kind, name = section.split(".")[1], pathlib.PurePath(source).name
        if kind in _KINDS and (name.startswith("kq_") or ".a(" in name):
            key = (kind, section, name)
            sizes[key] = sizes.get(key, 0) + int(size, 16)
    return sizes


def _measured(path: pathlib.Path, map_text: str, symbols: str) -> Firmware:
    sizes = dict.fromkeys(_KINDS, 0)
    for (kind, _, _), size in kept_sections(map_text).items():
        sizes[kind] += size
    names = (line.split()[0] for line in symbols.splitlines() if line)
    forbidden = [name for name in names if _FORBIDDEN.search(name)]
    return Firmware(path, sizes["text"], sizes["rodata"], sizes["data"] + sizes["bss"], forbidden)


def call(command: list[str]) -> str:
    """What a tool prints.

    Raises:
        BuildError: It is missing or reports an error.
    """
    check_installed(command[0])
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise BuildError(f"{' '.join(command)}\n{result.stderr}")
    return result.stdout


def check_installed(tool: str) -> None:
    """Raises BuildError where a program is missing."""
    if shutil.which(tool) is None:
        package = f" (Debian: {PACKAGES[tool]})" if tool in PACKAGES else ""
        raise BuildError(f"{tool} is not installed{package}")
