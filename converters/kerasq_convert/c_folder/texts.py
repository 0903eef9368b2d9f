"""The texts of a folder: templates/ with what is to be said of its networks."""

from __future__ import annotations

import functools
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence

import kerasq
from kerasq_convert.c_folder.network import FolderNetwork
from kerasq_convert.c_source import comment

TEMPLATES = pathlib.Path(__file__).parent / "templates"


@functools.cache
def paths() -> tuple[str, ...]:
    """Paths of all texts, in a folder."""
    return tuple(path.relative_to(TEMPLATES).as_posix() for path in sorted(TEMPLATES.rglob("*")) if path.is_file())


def texts(networks: Sequence[FolderNetwork]) -> dict[str, bytes]:
    """All files but sources of the runtime and of the networks, by their paths in the folder.

    Args:
        networks: In the order in which they are told, the first one as the example.
    """
    values = {**_readme(networks), **_program(networks), **_networks_header(networks), "VERSION": _version()}
    return {path: _filled((TEMPLATES / path).read_text(encoding="utf-8"), values).encode() for path in paths()}


def _version() -> str:
    """kerasq's, as three numbers: all that metadata of libraries may have."""
    return ".".join(re.findall(r"\d+", kerasq.__version__)[:3])


def _filled(template: str, values: Mapping[str, str]) -> str:
    return re.sub(r"@([A-Z_]+)@", lambda mark: values[mark[1]], template)


def _readme(networks: Sequence[FolderNetwork]) -> dict[str, str]:
    first = networks[0]
    several = len(networks) > 1
    untested = [network.name for network in networks if not network.tested]
    rows = (
        f"| `{network.name}` | {_plain(network.title)} | {network.bytes:,} | {_sizes(network.arena)} | {network.state:,} "
        f"| {'; '.join(map(_plain, network.inputs))} | {'; '.join(map(_plain, network.outputs))} |"
        for network in networks
    )
    files = (
        f"| `src/{network.name}.h`, `src/{network.name}.c` | the network as an array, and its kernels |" for network in networks
    )
    tested = (
        f"There is no test vector in {', '.join(untested)}: convert with `--embed_test random`, or with an example of yours,\n"
        "to have one.\n\n"
    )
    return {
        "TITLE": ", ".join(network.name for network in networks),
        "COUNT": f"{len(networks)} networks" if several else "A network",
        "RUNS": "runs them" if several else "runs it",
        "TABLE": "\n".join(rows),
        "ARENA": f"{_sizes(_largest(networks))} bytes",
        "TESTED": tested if untested else "",
        "PREFIX": first.prefix,
        "NAME": first.name,
    } | {"FILES": "\n".join(files)}


def _largest(networks: Sequence[FolderNetwork]) -> tuple[int, int]:
    portable, dsp = zip(*(network.arena for network in networks), strict=True)
    return max(portable), max(dsp)


def _sizes(arena: tuple[int, int]) -> str:
    """Bytes of working memory, for both kinds of processors."""
    portable, dsp = arena
    return f"{portable:,}" if portable == dsp else f"{portable:,} ({dsp:,} with the DSP extension)"


def _plain(text: str) -> str:
    """Text of any origin in a form that a table of Markdown can hold."""
    return "".join(character if character.isprintable() and character not in "|`<>[]*\\" else "?" for character in text)


def _networks_header(networks: Sequence[FolderNetwork]) -> dict[str, str]:
    sizes = (
        f"#define KERASQ_NETWORKS_{what} {functools.reduce(_larger, (f'{network.prefix}_{what}' for network in networks))}"
        for what in ("ARENA_BYTES", "ARENA_ALIGNMENT", "STATE_BYTES")
    )
    return {
        "INCLUDES": "\n".join(f'#include "{network.name}.h"' for network in networks),
        "SIZES": "\n".join(sizes),
    }


def _larger(one: str, other: str) -> str:
    return f"KERASQ_NETWORKS_LARGER({one}, {other})"


def _program(networks: Sequence[FolderNetwork]) -> dict[str, str]:
    calls = (
        f"  failures += run_{network.name}(argc > {position} ? argv[{position}] : NULL);"
        for position, network in enumerate(networks, 1)
    )
    tests = (
        f'  test("{network.name}", {network.name}_data, {network.prefix}_BYTES, &{network.name}_kernels);' for network in networks
    )
    return {
        "FILES_OF_NETWORKS": "".join(f" {network.name}.bin" for network in networks),
        "NETWORKS": "\n".join(map(_run, networks)),
        "CALLS": "\n".join(calls),
        "TESTS": "\n".join(tests),
    }


def _run(network: FolderNetwork) -> str:
    """The function of main.c that runs a network."""
    name, prefix = network.name, network.prefix
    return "\n".join(
        [
            f"static int run_{name}(const char *path) {{",
            f"  static uint64_t state[{prefix}_STATE_BYTES / sizeof(uint64_t)];",
            "  size_t state_bytes = sizeof state;",
            "  const kq_network *network;",
            "  kq_error error;",
            "",
            "  /* Once: every byte of the network is verified, and a kernel chosen for each operator. */",
            f"  if (kq_prepare({name}_data, {prefix}_BYTES, &{name}_kernels, state, &state_bytes, &network, &error) != KQ_OK) {{",
            f'    return failed("{name}: kq_prepare", &error);',
            "  }",
            "",
            "  /* Whether this machine computes what the converter did. */",
            "  const kq_status tested = kq_selftest(network, arena, &error);",
            f'  if (tested != KQ_OK && tested != KQ_NO_TEST) return failed("{name}: kq_selftest", &error);',
            f'  printf("{name}: %s\\n", tested == KQ_OK ? "self-test passed" : kq_status_text(tested));',
            "",
            "  /* For each example: its stored values go into the arena, an inference, the results are in the arena. */",
            '  FILE *const file = path == NULL ? NULL : fopen(path, "rb");',
            "  int complete = path == NULL || file != NULL;",
            *_inputs(network),
            "  if (file != NULL) fclose(file);",
            "  if (!complete) {",
            f'    fprintf(stderr, "{name}: %s: no such file, or not all input values\\n", path);',
            "    return 1;",
            "  }",
            "  kq_invoke(network, arena);",
            *_outputs(network),
            "  return 0;",
            "}",
            "",
        ]
    )


def _inputs(network: FolderNetwork) -> Iterable[str]:
    for position, described in enumerate(network.inputs):
        type_, macro = f"{network.name}_input_{position}", f"{network.prefix}_INPUT_{position}"
        yield f"  {type_} *const input_{position} = ({type_} *)kq_tensor_data(network, kq_input(network, {position}), arena);"
        yield f"  complete = read_values(file, input_{position}, {macro}_BYTES) && complete; /* {comment(described)} */"


def _outputs(network: FolderNetwork) -> Iterable[str]:
    for position, described in enumerate(network.outputs):
        type_, macro = f"{network.name}_output_{position}", f"{network.prefix}_OUTPUT_{position}"
        yield f"  const {type_} *const output_{position} ="
        yield f"      (const {type_} *)kq_tensor_data(network, kq_output(network, {position}), arena); /* {comment(described)} */"
        yield f'  printf("{network.name}, stored values of output {position}:");'
        yield f'  for (size_t i = 0; i < {macro}_ELEMENTS; ++i) printf(" %g", (double)output_{position}[i]);'
        yield '  printf("\\n");'
