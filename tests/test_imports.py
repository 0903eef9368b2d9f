"""Rooms import downwards only (ARCHITECTURE.md): every import statement of every module, those inside functions included.

`import x` inside a function is an import like any other here: it may spare whoever does without it the time, but it makes the
module depend on x all the same. The facades `kerasq` and `kerasq.format` offer names of higher rooms, and import them when they
are first used; they are held to do nothing else.
"""

from __future__ import annotations

import ast
import importlib
import posixpath
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import kerasq
import kerasq_convert

ROOT = Path(kerasq.__file__).resolve().parent
CONVERTER = Path(kerasq_convert.__file__).resolve().parent

# What each room may import beside itself. Modules that lie in kerasq/ itself are `base`, but for those with a name here.
BASE = {"base"}
FILES = BASE | {"format"}
OPS = FILES | {"ops"}
VERIFIED = OPS | {"verification"}
ENGINES = VERIFIED | {"runtime", "interpreter"}
ROOMS: dict[str, set[str]] = {
    "base": set(),
    "format": BASE,
    "ops": FILES,
    "verification": OPS,
    "runtime": FILES,
    "interpreter": VERIFIED | {"runtime"},
    "selftest": ENGINES,
    "footprint": VERIFIED | {"runtime"},
    "plots": VERIFIED,
    "evaluation": ENGINES | {"kerasq_convert"},
    "quantizers": BASE,
    "layers": BASE | {"quantizers"},
    "models": BASE | {"quantizers", "layers"},
    "metrics": BASE,
    "training": BASE,
    "callbacks": BASE | {"metrics"},
    "datasets": BASE,
    "commands": ENGINES | {"selftest", "footprint", "plots", "evaluation", "datasets", "kerasq_convert"},
    "__main__": BASE | {"commands"},
    "conformance": ENGINES | {"selftest"},
}
ROOMS["kerasq_convert"] = set(ROOMS) - {"conformance", "__main__"}
# Modules that offer names of higher rooms, and import them when they are first used.
FACADES = {"kerasq": set(ROOMS) - {"conformance", "__main__"}, "kerasq.format": {"verification"}}


def modules() -> dict[str, Path]:
    """Every module of the product by its full name."""
    found = {}
    for folder in (ROOT, CONVERTER):
        for path in folder.rglob("*.py"):
            parts = path.relative_to(folder.parent).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def room_of(name: str) -> str:
    """The room of a module, or of a name of one; for a name that a facade has from elsewhere, the room where it is defined."""
    for facade in (kerasq, kerasq.format):
        name = facade._NAMES.get(name.removeprefix(f"{facade.__name__}."), name)
    package, *rest = name.split(".")
    if package == "kerasq_convert":
        return "kerasq_convert"
    return rest[0] if rest and rest[0] in ROOMS else "base"


def is_late(block: ast.AST) -> bool:
    """Whether imports inside are made when a name is first used, or never."""
    return isinstance(block, ast.FunctionDef) or (isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test))


def is_ours(name: str) -> bool:
    """Whether a module is the product's; a name that begins with a dot is relative to one that is."""
    return name.split(".")[0] in ("", "kerasq", "kerasq_convert")


def imported(source: str) -> Iterator[tuple[int, str, bool]]:
    """Line and full name of everything of the product that a module imports, and whether it does so late.

    Attributes of a package (`kerasq.Interpreter`, `kerasq.format.loads`, `kerasq.verification.plan`) are imported late.
    """
    tree = ast.parse(source)
    late = {id(node) for block in ast.walk(tree) if is_late(block) for node in ast.walk(block)}
    packages: dict[str, str] = {}  # by the name that the module calls each by
    for node in ast.walk(tree):
        names: list[tuple[str, str]] = []
        if isinstance(node, ast.Import):
            names = [(alias.name, alias.asname or "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: say in full what is imported"
            names = [(f"{node.module}.{alias.name}", alias.asname or alias.name) for alias in node.names]
        for name, alias in names:
            if is_ours(name):
                assert not name.endswith("*"), f"line {node.lineno}: say by name what is imported"
                yield node.lineno, name, id(node) in late
                packages[alias or name.split(".")[0]] = name if alias else name.split(".")[0]
    for node in ast.walk(tree):
        name = full_name(node, packages)
        if name in MODULES or any(name.removeprefix(f"{facade}.") in names_of(facade) for facade in FACADES):
            yield node.lineno, name, True


def full_name(node: ast.AST, packages: dict[str, str]) -> str:
    """What a chain of attributes of a package names; nothing where it is no such chain."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.insert(0, node.attr)
        node = node.value
    if not attributes or not isinstance(node, ast.Name) or node.id not in packages:
        return ""
    return ".".join([packages[node.id], *attributes])


def names_of(facade: str) -> dict[str, str]:
    return importlib.import_module(facade)._NAMES


def violations(module: str, source: str) -> list[str]:
    """What a module imports against the order of the rooms."""
    found, room = [], room_of(module)
    allowed = ROOMS[room]
    for line, name, late in imported(source):
        target, where = room_of(name), f"{module}:{line} imports {name}"
        if name in ("kerasq", "kerasq.__version__") or target == room or (late and target in FACADES.get(module, ())):
            continue
        if target not in allowed:
            found.append(f"{where}: {room} may import {', '.join(sorted(allowed)) or 'nothing'}")
        elif target == "kerasq_convert" and name not in {f"kerasq.{public}" for public in kerasq._NAMES}:
            found.append(f"{where}: the converter is reached through the names of kerasq alone")
    return found


def test_no_room_imports_upwards():
    assert [text for module, path in MODULES.items() for text in violations(module, path.read_text("utf-8"))] == []


def test_every_folder_is_a_room():
    assert {path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file()} <= set(ROOMS)


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("kerasq.qformat", "from kerasq.format.model import Model"),
        ("kerasq.format.reader", "from kerasq import ops"),
        ("kerasq.format.writer", "def dump(model):\n    from kerasq.verification.verifier import verify"),
        ("kerasq.format", "from kerasq.verification.files import load"),
        ("kerasq.ops.add", "import kerasq.verification.plan"),
        ("kerasq.ops.add", "from kerasq.format import loads"),
        ("kerasq.runtime.network", "from kerasq import Interpreter"),
        ("kerasq.verification.plan", "from kerasq.interpreter import Interpreter"),
        ("kerasq.runtime.network", "from kerasq.conformance import parity"),
        ("kerasq.interpreter.engines", "if True:\n    from kerasq.selftest import random_example"),
        ("kerasq.selftest", "from kerasq.commands import run"),
        ("kerasq.quantizers.sign", "from kerasq.layers import BinaryWeightConv2D"),
        ("kerasq.callbacks.probe", "from kerasq.interpreter import Interpreter"),
        ("kerasq.commands.inspect", "from kerasq_convert import ConversionError"),
        ("kerasq.evaluation.sources", "def f():\n    from kerasq_convert.frontend.sources import load_keras_file"),
        ("kerasq.interpreter.native", "import kerasq\ndef f(model):\n    return kerasq.convert(model)"),
        ("kerasq.ops.table", "from kerasq import format as file_format\ndef f(data):\n    return file_format.loads(data)"),
        ("kerasq.interpreter.native", "def f():\n    from kerasq_convert import Converter"),
        ("kerasq_convert.converter", "from kerasq.conformance.samples import SAMPLES"),
        ("kerasq.ops.add", "import kerasq\nplan = kerasq.verification.plan"),
        ("kerasq.ops.add", "import kerasq.format\nload = kerasq.format.load"),
        ("kerasq.ops.add", "import kerasq\nload = kerasq.format.load"),
    ],
)
def test_the_contract_refuses(module, line):
    assert module in MODULES
    assert violations(module, line), (module, line)


@pytest.mark.parametrize("line", ["from ..verification import plan", "from kerasq.format import *"])
def test_imports_say_in_full_what_they_import(line):
    with pytest.raises(AssertionError, match="line 1: say"):
        violations("kerasq.ops.add", line)


def imports_by_text(source: str) -> bool:
    """Whether a module imports another one of the product, or one that can't be told, by a text: no statement says which."""
    return any(
        ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__", "import_quietly")
        and not (isinstance(node.args[0], ast.Constant) and not is_ours(str(node.args[0].value)))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
    )


def test_modules_are_imported_by_statements():
    """So that the rooms can be read from the source; but for the facades, the list of commands and what serves others."""
    by_text = {module for module, path in MODULES.items() if imports_by_text(path.read_text("utf-8"))}
    assert by_text == {*FACADES, "kerasq.__main__", "kerasq.quiet"}
    assert imports_by_text("from importlib import import_module\nplan = import_module('kerasq.verification.plan')")
    assert imports_by_text("plan = __import__('.plan', 'kerasq.verification')")


def test_names_of_modules_in_texts_exist():
    """Facades and the program's list of commands name modules as text: they are there, and of the converter none is private."""
    for module in (*FACADES, "kerasq.__main__"):
        for node in ast.walk(ast.parse(MODULES[module].read_text("utf-8"))):
            named = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            if re.fullmatch(r"kerasq(_convert)?(\.\w+)+|kerasq_convert", named):
                assert named in MODULES, f"{module} names {named}"
                assert room_of(named) != "kerasq_convert" or named in ("kerasq_convert", "kerasq_convert.command"), named


@pytest.mark.parametrize("name", ["load", "loads", "dump", "dumps", "verify"])
def test_the_format_offers_nothing_that_skips_verification(name):
    facade = importlib.import_module("kerasq.format")
    assert name in facade.__all__
    assert name in dir(facade)
    assert getattr(facade, name).__module__.startswith("kerasq.verification.")


def test_c_sources_include_only_headers_of_the_runtime():
    """By their plain names, and from subfolders also from the folder above: nothing of conformance, tools or tests."""
    source = ROOT / "runtime" / "src"
    headers = {path.relative_to(source).as_posix() for path in source.rglob("*.h")}
    public = {path.name for path in (ROOT / "runtime" / "include").glob("*.h")}
    for path in source.rglob("*.[ch]"):
        folder = path.parent.relative_to(source)
        for name in re.findall(r'^\s*#\s*include\s+"(.*)"', path.read_text("utf-8"), re.MULTILINE):
            assert name in public or posixpath.normpath(posixpath.join(folder.as_posix(), name)) in headers, (
                f"{path.name}: {name}"
            )


def test_the_converter_is_imported_without_keras():
    """So that `--help` answers at once, and a model of whatever backend can be quantized."""
    code = "import sys, kerasq_convert; print({'keras', 'tensorflow'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
