"""The table of operators as C: what the runtime shares with it as data, so that neither says it a second time.

    python -m kerasq.ops.c_header            # write it; python -m kerasq.format.regenerate does that, too
    python -m kerasq.ops.c_header --check    # exit 1 if the files are not what the table gives

Three files of kerasq/runtime: the public enums (include/kerasq_format.h), the operators' operands, attributes and limits
(src/kq_operators.h), and the tables of these (src/kq_operators.c). Rules, bounds and kernels are written once more in C, to check
those in Python.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from kerasq.format import schema
from kerasq.format.model import FORMAT_VERSION, Layout, OperatorKind
from kerasq.ops import families
from kerasq.ops.checks import ATTRIBUTES
from kerasq.ops.operand import Operand, Overlap
from kerasq.ops.spec import OperatorSpec
from kerasq.ops.table import TABLE
from kerasq.qformat import MAX_FRAC_BITS, MIN_FRAC_BITS

RUNTIME = Path(__file__).parents[1] / "runtime"
_ORIGIN = "/* Generated from the table of operators in kerasq/ops: python -m kerasq.format.regenerate. */"
_WIDTH = 120
# Attributes that a file holds: not those that only a network in memory has.
_STORED = tuple(name for name in ATTRIBUTES if name not in ("real_zero", "function"))
_FLAGS = ("constant", "optional", "trailing", "per_channel", "paired")
_LIMITS = ("MAX_FILE_BYTES", "MAX_RANK", "MAX_REUSE", "MAX_NAME_BYTES", "MIN_ALIGNMENT", "MAX_ALIGNMENT", "MAX_VECTOR_READS")
_STRUCTS = """
/* An operand: the types that it may have, a bit each; what it is, a bit of KQ_OPERAND each; and how it is read while the
 * output is written, one of KQ_OVERLAP. kerasq/ops/operand.py says what these mean. */
typedef struct {
  uint16_t types;
  uint8_t flags;
  uint8_t overlap;
} kq_operand;

/* A kind: its operands, the first `needed` of which every operator lists, and the attributes that it uses, a bit of KQ_USES
 * each. All others have their default. */
typedef struct {
  const kq_operand *operands;
  uint8_t count, needed;
  uint8_t attributes;
} kq_signature;
extern const kq_signature kq_signatures[KQ_KINDS];"""


def generate() -> dict[str, str]:
    """Text of each file by its path in kerasq/runtime."""
    return {
        "include/kerasq_format.h": _lines(_public_header()),
        "src/kq_operators.h": _lines(_header()),
        "src/kq_operators.c": _lines(_tables()),
    }


def _public_header() -> Iterator[str]:
    """What kerasq.h includes."""
    yield _ORIGIN
    yield from ("#ifndef KERASQ_FORMAT_H", "#define KERASQ_FORMAT_H", "")
    yield f"#define KQ_VERSION {FORMAT_VERSION} /* newest version of the file format that is read */"
    yield from ("", "/* Storage of a tensor: the enum Type of kerasq.fbs. */")
    yield from _enum([f"KQ_{name}" for name in schema.TYPES], "KQ_TYPES", "kq_type")
    yield from ("", "/* The enum OperatorKind of kerasq.fbs. */")
    yield from _enum([f"KQ_{kind}" for kind in TABLE], "KQ_KINDS", "kq_kind")
    yield from ("", "/* X(TYPE) and X(KIND, kind) for each of them, in order. */")
    yield from _each("KQ_EACH_TYPE", schema.TYPES)
    yield from _each("KQ_EACH_KIND", [f"{kind}, {kind.lower()}" for kind in TABLE])
    yield from ("", "#endif")


def _header() -> Iterator[str]:
    yield _ORIGIN
    yield from ("#ifndef KQ_OPERATORS_H", "#define KQ_OPERATORS_H", "", '#include "kerasq.h"', "")
    yield f"#define KQ_MAX_INPUTS {max(len(spec.operands) for spec in TABLE.values())} /* of an operator */"
    yield from ("", "/* Limits of a file: kerasq/format/schema.py. */")
    yield f"#define KQ_MIN_FRAC_BITS ({MIN_FRAC_BITS})"
    yield f"#define KQ_MAX_FRAC_BITS {MAX_FRAC_BITS}"
    yield from (f"#define KQ_{name} {getattr(schema, name)}u" for name in _LIMITS)
    yield from ("", "/* Which input of an operator is what. */")
    for spec in TABLE.values():
        yield from _wrapped("enum {", [_name(spec, operand.name) for operand in spec.operands], "};")
    yield from ("", "/* Limits of the rules. */")
    for spec in TABLE.values():
        if spec.limits:
            yield from _wrapped("enum {", [f"{_name(spec, name)} = {value}" for name, value in spec.limits.items()], "};")
    yield from ("", "/* Kinds whose results may differ from engine to engine where they compute in float, a bit each. */")
    inexact = [f"1 << KQ_{spec.kind}" for spec in TABLE.values() if spec.float_tolerance > 0]
    yield from _wrapped("enum { KQ_INEXACT_IN_FLOAT =", inexact, "};", separator=" |")
    yield ""
    yield from _wrapped("enum {", [f"KQ_OPERAND_{flag.upper()} = {1 << bit}" for bit, flag in enumerate(_FLAGS)], "};")
    yield from _wrapped("enum {", [*(f"KQ_LAYOUT_{layout}" for layout in Layout), "KQ_LAYOUTS"], "};")
    yield from _wrapped("enum {", [f"KQ_OVERLAP_{overlap}" for overlap in Overlap], "};")
    yield from _wrapped("enum {", [f"{_attribute(name)} = {1 << bit}" for bit, name in enumerate(_STORED)], "};")
    yield _STRUCTS
    yield from ("", "#endif")


def _tables() -> Iterator[str]:
    yield _ORIGIN
    yield from ('#include "kq_operators.h"', "")
    lists = {name: value for name, value in vars(families).items() if name.isupper()}
    for name, members in lists.items():
        yield from _wrapped(f"enum {{ {name} =", [f"1 << KQ_{family}" for family in members], "};", separator=" |")
    yield ""
    for spec in TABLE.values():
        yield f"static const kq_operand {spec.kind.lower()}[] = {{"
        for operand in spec.operands:
            yield f"    [{_name(spec, operand.name)}] = {{{', '.join(_operand(operand, lists))}}},"
        yield "};"
    yield from ("", "const kq_signature kq_signatures[KQ_KINDS] = {")
    for spec in TABLE.values():
        needed = sum(not operand.trailing for operand in spec.operands)
        uses = [_attribute(name) for name in _STORED if name in spec.attributes]
        yield f"    [KQ_{spec.kind}] = {{"
        yield f"        .operands = {spec.kind.lower()}, .count = {len(spec.operands)}, .needed = {needed},"
        if uses:
            yield f"        .attributes = {' | '.join(uses)},"
        yield "    },"
    yield "};"


def _operand(operand: Operand, lists: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """Its fields. Those that are 0 go without saying."""
    (name,) = (name for name, members in lists.items() if members == operand.families)
    flags = [f"KQ_OPERAND_{flag.upper()}" for flag in _FLAGS if getattr(operand, flag)]
    yield f".types = {name}"
    if flags:
        yield f".flags = {' | '.join(flags)}"
    if operand.overlap is not Overlap.NEVER:
        yield f".overlap = KQ_OVERLAP_{operand.overlap}"


def _name(spec: OperatorSpec, name: str) -> str:
    return f"KQ_{spec.kind}_{name.replace(' ', '_').upper()}"


def _attribute(name: str) -> str:
    return f"KQ_USES_{name.upper()}"


def _enum(members: Sequence[str], count: str, name: str) -> Iterator[str]:
    yield from _wrapped("typedef enum {", [*members, count], f"}} {name};", always=True)


def _each(name: str, items: Iterable[str]) -> Iterator[str]:
    """A macro that takes another one for each item."""
    lines = [*_wrapped(f"#define {name}(X)", [f"X({item})" for item in items], "", always=True, separator="")]
    yield from (f"{line} \\" for line in lines[:-2])
    yield lines[-2]


def _wrapped(head: str, items: Sequence[str], tail: str, *, always: bool = False, separator: str = ",") -> Iterator[str]:
    """Items between head and tail: in one line, or where that is too long or `always`, in lines of their own."""
    flat = f"{head} {f'{separator} '.join(items)} {tail}"
    if len(flat) <= _WIDTH and not always:
        yield flat
        return
    yield head
    line = " "
    for position, item in enumerate(items):
        text = f" {item}{separator if position < len(items) - 1 else ''}"
        if len(line) + len(text) > _WIDTH:
            yield line
            line = " "
        line += text
    yield line
    yield tail


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Write, or compare; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m kerasq.ops.c_header", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is stale")
    check = parser.parse_args(argv).check
    assert list(TABLE) == list(OperatorKind), "the table is in the order of the schema's enum"
    stale = {
        path: text for path, text in generate().items() if not (RUNTIME / path).is_file() or (RUNTIME / path).read_text() != text
    }
    if check:
        if stale:
            print(f"stale under {RUNTIME}: {', '.join(stale)}; run python -m kerasq.format.regenerate", file=sys.stderr)
        return int(bool(stale))
    for path, text in stale.items():
        (RUNTIME / path).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
