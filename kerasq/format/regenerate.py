"""Makes all generated code: Python under generated/ from kerasq.fbs, and C in kerasq/runtime from the table of operators.

    python -m kerasq.format.regenerate            # write it
    python -m kerasq.format.regenerate --check    # exit 1 if it is not what the schema and the table give

Where generated/ is missing altogether the package can't be imported: run this file by its path then.

Python's part needs `flatc`, the FlatBuffers compiler (Debian: apt install flatbuffers-compiler). Another release of flatc may
word the same code differently; the one in use is named at the top of generated/__init__.py. C's part needs nothing: it is a
command of its own, kerasq.ops.c_header, as the table of operators lies above this package.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCHEMA = Path(__file__).with_name("kerasq.fbs")
GENERATED = Path(__file__).with_name("generated")


def generate(flatc: str, schema: Path = SCHEMA) -> dict[str, str]:
    """Text of every generated file by name.

    Raises:
        RuntimeError: flatc refuses the schema.
    """
    version = subprocess.run([flatc, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([flatc, "--python", "-o", folder, str(schema)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"flatc refuses {schema}: {done.stdout.strip()} {done.stderr.strip()}")
        files = {path.name: path.read_text() for path in Path(folder, "kerasq", "format", "generated").glob("*.py")}
    # flatc leaves spaces at line ends and no newline after the last line.
    files = {name: "".join(f"{line.rstrip()}\n" for line in text.splitlines()) for name, text in files.items()}
    files["enums.py"] = enums(schema.read_text())
    header = f'"""Generated from kerasq.fbs by {version}: python -m kerasq.format.regenerate."""\n'
    return dict(sorted({**files, "__init__.py": header}.items()))


def enums(schema: str) -> str:
    """The enums of the schema as the rest of kerasq knows them: flatc makes plain numbers of them."""
    bodies = dict(re.findall(r"^enum (\w+) [^{]*{(.*?)}", re.sub("//.*", "", schema), re.MULTILINE | re.DOTALL))
    lists = {name: re.findall(r"[A-Z]\w*", body) for name, body in bodies.items()}
    types = "".join(f'    "{name}",\n' for name in lists["Type"])
    layouts = "".join(f'    {name} = "{name}"\n' for name in lists["Layout"])
    kinds = "".join(f'    {name} = "{name}"\n' for name in lists["OperatorKind"])
    return f'''"""Generated from kerasq.fbs by kerasq/format/regenerate.py."""

import enum

# Members of the enum Type; each is the name of a family of QFormats.
TYPES = (
{types})


class Layout(enum.StrEnum):
    """How the rows of a constant lie in a file, in the order of the schema's enum: kerasq/format/packing.py."""

{layouts}

class OperatorKind(enum.StrEnum):
    """The operators of the file format, in the order of the schema's enum. NUMERICS.md section 3 defines each."""

{kinds}'''


def main(argv: Sequence[str] | None = None) -> int:
    """Regenerate, or compare; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m kerasq.format.regenerate", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the code is stale")
    check = parser.parse_args(argv).check
    python = regenerate_python(check)
    command = [sys.executable, "-m", "kerasq.ops.c_header", *(["--check"] if check else [])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    sys.stderr.write(done.stderr)
    return max(python, done.returncode)


def regenerate_python(check: bool) -> int:
    """The part that the schema gives; returns the exit status."""
    flatc = shutil.which("flatc")
    if flatc is None:
        print("flatc, the FlatBuffers compiler, is not on the PATH (Debian: apt install flatbuffers-compiler)", file=sys.stderr)
        return 1
    wanted = generate(flatc)
    present = {path.name: path.read_text() for path in GENERATED.glob("*.py")}
    stale = sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))
    if check:
        if stale:
            print(f"stale under {GENERATED}: {', '.join(stale)}; run python -m kerasq.format.regenerate", file=sys.stderr)
        return int(bool(stale))
    GENERATED.mkdir(exist_ok=True)
    for name in stale:
        if name in wanted:
            (GENERATED / name).write_text(wanted[name])
        else:
            (GENERATED / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
