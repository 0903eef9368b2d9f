"""A .kq file as C: what `kerasq-convert --emit_c` writes, for firmware that has no files.

A header with the sizes that the program needs as macros, and a source with the bytes as a constant array, which stays in flash,
and the list of those kernels alone that the network uses: with -ffunction-sections and --gc-sections nothing else is linked.
There are two lists, for processors with the DSP extension of Armv7E-M and Armv8-M, and for all others; the compiler chooses. With
KQ_PORTABLE defined it takes the latter everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np

import kerasq
from kerasq.format import Model, Tensor, loads
from kerasq.runtime import DSP, Network
from kerasq.text import shown
from kerasq_convert.c_runtime import runtime_source
from kerasq_convert.memory.target import for_target

__all__ = ["DEFAULT_NAME", "c_source", "check_name", "comment", "for_target", "kernels_of", "networks_of", "runtime_source"]

DEFAULT_NAME = "kerasq_model"
_TYPES = {"FLOAT32": "float", "FIXED8": "int8_t", "UFIXED8": "uint8_t", "FIXED16": "int16_t", "UFIXED16": "uint16_t"}
_WORDS_PER_LINE = 10
_HAS_DSP = "#if defined(__ARM_FEATURE_DSP) && !defined(KQ_PORTABLE)"
_LONGEST_NAME = 100
# Files of the runtime that a model of the same name would replace, here or on a file system that does not tell cases apart; so
# would the macros that guard them.
_TAKEN = ("kerasq", "kerasq_format", "kerasq_kernels", "kerasq_native", "kerasq_networks")
# Headers of C and of C libraries, which a header of the same name hides from those that include them; names that Windows keeps.
_HEADERS = (
    *(
        "assert",
        "complex",
        "ctype",
        "errno",
        "fenv",
        "float",
        "inttypes",
        "iso646",
        "limits",
        "locale",
        "math",
        "setjmp",
        "signal",
    ),
    *("stdalign", "stdarg", "stdatomic", "stdbit", "stdbool", "stdckdint", "stddef", "stdint", "stdio", "stdlib", "stdnoreturn"),
    *("string", "tgmath", "threads", "time", "uchar", "wchar", "wctype"),
    *("alloca", "endian", "features", "fcntl", "malloc", "memory", "newlib", "pthread", "reent", "sched", "strings", "unistd"),
)
_DEVICES = ("aux", "con", "nul", "prn")


def c_source(content: bytes, name: str = DEFAULT_NAME, title: str = "a network") -> dict[str, bytes]:
    """The files `NAME.h` and `NAME.c`, by name.

    Args:
        content: Bytes of a .kq file.
        name: First part of the names of files, and of the symbols and (in capitals) the macros in them: a C identifier.
        title: What the comments call the network.

    Raises:
        ValueError: `name` is not a C identifier, or one that the runtime has taken.
        kerasq.format.ModelError: The file is refused.
        kerasq.runtime.LibraryMissingError: The native library, which knows what kernels there are, is not installed.
    """
    check_name(name)
    model = loads(content)
    networks = networks_of(content)
    portable, _ = networks
    origin = f"{comment(title)}, as C: written by kerasq-convert (kerasq {kerasq.__version__})."
    arena = _by_target(f"#define {name.upper()}_ARENA_BYTES {network.arena_bytes}u" for network in networks)
    kernels = _by_target(_kernels(network, portable) for network in networks)
    header = _header(model, len(content), name, origin, arena)
    return {f"{name}.h": header.encode(), f"{name}.c": _array(content, kernels, name, origin).encode()}


def networks_of(content: bytes) -> tuple[Network, Network]:
    """A .kq file as a firmware runs it, with the portable kernels and with those for the DSP extension.

    Raises:
        kerasq.format.ModelError: The file is refused.
    """
    return Network(content, "portable"), Network(content, DSP)


def kernels_of(*networks: Network) -> list[str]:
    """Names of the kernels that networks use, each once."""
    return list(dict.fromkeys(operator.kernel for network in networks for operator in network.operators()))


def _kernels(network: Network, portable: Network) -> str:
    """The kernels that a network uses, as a list. Those for a processor come first: portable ones accept the same and more."""
    everywhere = kernels_of(portable)
    ordered = sorted(kernels_of(network), key=lambda name: name in everywhere)
    return f"static const kq_kernel *const kernels[] = {{{', '.join(f'&{name}' for name in ordered)}}};"


def _by_target(lines: Iterable[str]) -> list[str]:
    """A line for processors without the DSP extension, and one for those with it: as one, where they are the same."""
    portable, dsp = lines
    return [portable] if portable == dsp else [_HAS_DSP, dsp, "#else", portable, "#endif"]


def check_name(name: str) -> None:
    """Raises ValueError where `c_source` would."""
    lower = name.lower()
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or lower in _TAKEN or lower == "kq" or lower.startswith("kq_"):
        raise ValueError(
            "the name of a model in C consists of letters, digits and underscores, begins with a letter but not with kq_, and is "
            f"none of {', '.join(_TAKEN)}, in capitals neither. Received: {shown(name)}"
        )
    if lower in _HEADERS or lower in _DEVICES:
        kind = "is a header of C" if lower in _HEADERS else "can't be the name of a file everywhere"
        raise ValueError(f"{lower}.h {kind}: choose another name. Received: {name!r}")
    if len(name) > _LONGEST_NAME:
        raise ValueError(f"the name of a model in C has at most {_LONGEST_NAME} characters. Received: {shown(name)}")


def _header(model: Model, size: int, name: str, origin: str, arena: list[str]) -> str:
    prefix = name.upper()
    sizes = {
        "BYTES": f"{size}u",
        "ARENA_ALIGNMENT": f"{model.arena_alignment}",
        "STATE_BYTES": f"KQ_STATE_BYTES({len(model.tensors)}u, {len(model.operators)}u)",
    }
    ends = [
        line
        for end, named in (("input", model.named_inputs()), ("output", model.named_outputs()))
        for position, (label, index) in enumerate(named.items())
        for line in _end(label, model.tensors[index], f"{name}_{end}_{position}")
    ]
    lines = [
        f"/* {origin}",
        " *",
        f" *     static _Alignas({prefix}_ARENA_ALIGNMENT) uint8_t arena[{prefix}_ARENA_BYTES];",
        f" *     static uint64_t state[{prefix}_STATE_BYTES / 8];",
        " *     size_t state_bytes = sizeof state;",
        " *     const kq_network *network;",
        " *     kq_error error;",
        f" *     kq_prepare({name}_data, {prefix}_BYTES, &{name}_kernels, state, &state_bytes, &network, &error);",
        " *",
        f" * kerasq.h says the rest. To build, compile {name}.c and every .c file of the runtime's folder src, with its",
        " * folder include on the path (--c_runtime writes a folder that builds). -ffunction-sections, -fdata-sections and the",
        " * linker's --gc-sections leave out what is not used. */",
        f"#ifndef {prefix}_H",
        f"#define {prefix}_H",
        "",
        '#include "kerasq.h"',
        "",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        "",
        "/* Bytes of the model, of working memory and its alignment, and of state (aligned to 8). */",
        *(f"#define {prefix}_{what} {value}" for what, value in sizes.items()),
        *arena,
        *ends,
        "",
        f"extern const uint32_t {name}_data[];",
        f"extern const kq_kernels {name}_kernels; /* those that the network needs */",
        "",
        "#ifdef __cplusplus",
        "}",
        "#endif",
        "#endif",
        "",
    ]
    return "\n".join(lines)


def _end(label: str, tensor: Tensor, name: str) -> Iterator[str]:
    """What a program must know of an input or output."""
    shape = " x ".join(map(str, tensor.shape[1:]))
    yield ""
    yield f"/* {comment(label)}: {shape} values, {tensor.format}{_meaning(tensor)} */"
    yield f"typedef {_TYPES[tensor.format.family]} {name};"
    yield f"#define {name.upper()}_ELEMENTS {int(np.prod(tensor.shape))}u"
    yield f"#define {name.upper()}_BYTES {tensor.nbytes}u"
    if tensor.format.is_fixed:
        yield f"#define {name.upper()}_FRAC_BITS {tensor.format.frac_bits}"


def _meaning(tensor: Tensor) -> str:
    frac_bits = tensor.format.frac_bits
    if tensor.format.is_float:
        return ""
    return f": a stored q stands for q * 2^{-frac_bits}" if frac_bits else ": stored integers are the values"


def _array(content: bytes, kernels: list[str], name: str, origin: str) -> str:
    # Words, not bytes: C99 aligns them to the 4 bytes that the runtime needs. Both store the lowest byte first.
    words = np.frombuffer(content + bytes(-len(content) % 4), "<u4").tolist()
    rows = [words[start : start + _WORDS_PER_LINE] for start in range(0, len(words), _WORDS_PER_LINE)]
    lines = [
        f"/* {origin} */",
        f'#include "{name}.h"',
        "",
        '#include "kerasq_kernels.h"',
        "",
        *kernels,
        f"const kq_kernels {name}_kernels = {{kernels, sizeof kernels / sizeof kernels[0]}};",
        "",
        "#if defined(__cplusplus)",
        "alignas(16) /* for speed */",
        "#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L",
        "_Alignas(16)",
        "#endif",
        f"const uint32_t {name}_data[] = {{",
        *(f"    {', '.join(f'0x{word:08x}' for word in row)}," for row in rows),
        "};",
        "",
    ]
    return "\n".join(lines)


def comment(text: str) -> str:
    """Text of any origin in a form that a C comment can hold: ASCII, no end or beginning of a comment."""
    return ascii(text)[1:-1].replace("*/", "* /").replace("/*", "/ *")
