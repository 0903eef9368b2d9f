"""The BUILD file as Python values: Starlark is close enough to Python to be executed with stand-ins for Bazel's functions."""

from __future__ import annotations

import ast
import dataclasses
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

RULES = ("py_library", "py_binary", "py_test", "cc_library", "cc_binary", "config_setting", "filegroup", "genrule")
SOURCES = ("kerasq", "converters", "tests", "examples")


@dataclasses.dataclass(frozen=True)
class Target:
    """One target: the rule that made it, and those of its attributes that name files or other targets."""

    rule: str
    name: str
    srcs: list[str]
    hdrs: list[str]
    data: list[str]
    deps: list[str]
    outs: list[str]

    @property
    def files(self) -> list[str]:
        """Paths of what the target owns."""
        return [name for name in [*self.srcs, *self.hdrs, *self.data] if not name.startswith(":")]


def source_files(root: pathlib.Path) -> list[str]:
    """Paths of all files under the folders of code, but for hidden ones and compiled Python."""
    paths = [path.relative_to(root) for folder in SOURCES for path in (root / folder).rglob("*") if path.is_file()]
    return sorted(
        path.as_posix() for path in paths if path.suffix != ".pyc" and not any(part.startswith(".") for part in path.parts)
    )


def glob(files: list[str], include: Sequence[str], exclude: Sequence[str] = (), allow_empty: bool = False) -> list[str]:
    """Bazel's glob over `files`: `*` stays within a folder, `**` crosses any number of them."""
    matching = [path for path in files if _matches(path, include) and not _matches(path, exclude)]
    if not matching and not allow_empty:
        raise ValueError(f"glob({include}) finds nothing")
    return matching


def _matches(path: str, patterns: Sequence[str]) -> bool:
    expressions = {"**/": "(?:.+/)?", "**": ".+", "*": "[^/]*"}
    return any(
        re.fullmatch("".join(expressions.get(part, re.escape(part)) for part in re.split(r"(\*\*/|\*\*|\*)", pattern)), path)
        for pattern in patterns
    )


def load(root: pathlib.Path) -> tuple[list[Target], dict[str, Any]]:
    """The targets of a BUILD file, and the values that it names."""
    files, targets = source_files(root), []

    def rule(kind: str) -> Any:
        return lambda name, **attributes: targets.append(
            Target(kind, name, *(attributes.get(key, []) for key in ("srcs", "hdrs", "data", "deps", "outs")))
        )

    scope: dict[str, Any] = {kind: rule(kind) for kind in RULES}
    scope["package"] = lambda **_: None
    scope["glob"] = lambda include, **options: glob(files, include, **options)
    scope["select"] = lambda branches: [value for values in branches.values() for value in values]
    scope["__builtins__"] = {"len": len}
    exec(compile((root / "BUILD").read_text(), str(root / "BUILD"), "exec"), scope)
    return targets, scope


def imported_files(root: pathlib.Path, path: str, lazy: dict[str, str]) -> Iterator[str]:
    """Files of this tree that the module in `path` imports, wherever in its code, packages around them and itself included.

    Args:
        lazy: Module behind each public name of `kerasq` that is imported when it is first used.
    """
    for module in _imported_modules(root / path, lazy):
        for folder in ("", "converters/", "tests/"):
            stem = folder + module.replace(".", "/")
            candidates = [f"{stem}.py", f"{stem}/__init__.py", *_packages(stem)]
            yield from (name for name in candidates if (root / name).is_file())
    yield from (name for name in _packages(path) if (root / name).is_file())


def _packages(path: str) -> list[str]:
    return [f"{parent}/__init__.py" for parent in pathlib.PurePosixPath(path).parents]


def _imported_modules(file: pathlib.Path, lazy: dict[str, str]) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "kerasq":
            yield from [lazy[node.attr]] if node.attr in lazy else []
