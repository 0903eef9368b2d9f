"""Which files of the C runtime a list of kernels needs.

What a source needs is read off its text: the names of the runtime (`kq_...`) that it uses, and the sources that define these.
Names that macros paste together are patterns (`kq_dot_##x##_##weight` is any `kq_dot_..._...`), so that a file may be taken
that is not needed, but none is left out; tests/converters/test_c_runtime.py holds it against what a linker sees.
"""

from __future__ import annotations

import functools
import pathlib
import re
from collections.abc import Iterable, Mapping

import kerasq.runtime
from kerasq import ops

API = "kerasq.h"
# The list of all portable kernels: a firmware has a list of its own, and this one would link everything.
_ALL_KERNELS = "kq_portable_kernels"
# The kinds of operators whose rules are linked, and the rules of each: a firmware has those of its kernels alone.
KINDS = "kq_kinds.h"
_RULES = {f"kq_{kind.lower()}_rules.c": str(kind) for kind in ops.TABLE}

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_STRING = re.compile(r'"[^"\n]*"')
_NAME = r"kq_(?:\w|##)+"
_USED = re.compile(rf"\b{_NAME}")
_DEFINED = (
    # A function, and a constant, that is not static.
    re.compile(rf"^(?!static\b|typedef\b|extern\b|#)\w[\w ]*[ *]({_NAME})\([^;{{}}]*\) {{", re.MULTILINE),
    re.compile(rf"^const [\w *]*?\b({_NAME})(?:\[[^\]]*\])*\s*=", re.MULTILINE),
    # The same in a macro.
    re.compile(rf"^#define.*[ *]({_NAME})\([^;{{}}\n]*\)\s*{{", re.MULTILINE),
    re.compile(rf"^#define.*?\bconst kq_kernel ({_NAME})\s*=", re.MULTILINE),
    # What a macro makes is called as its first argument says.
    re.compile(rf"^[A-Z_]+\(({_NAME})", re.MULTILINE),
)
# A function in a header, and its body.
_INLINE = re.compile(rf"^static inline [^\n;]*?\b({_NAME})\([^{{;]*{{(?:([^\n]*)}}$|\n(.*?)^}})", re.MULTILINE | re.DOTALL)
_KIND = re.compile(r"\.kind = KQ_(\w+)")
_INCLUDED = re.compile(r'^#include "([^"]+)"', re.MULTILINE)


def runtime_source(kernels: Iterable[str] | None = None) -> dict[str, bytes]:
    """Headers and sources of the C runtime, by name: all that a firmware compiles besides the model.

    Args:
        kernels: The kernels that it links. Default: any.

    Raises:
        FileNotFoundError: They are not installed.
        KeyError: A kernel that there is not.
    """
    files = _installed()
    if kernels is None:
        return dict(files)
    chosen = frozenset(kernels)
    names = _needed(files, chosen)
    kinds = _kinds(chosen)
    linked = {name: content for name, content in files.items() if name in names and _RULES.get(name) in (None, *kinds)}
    return linked | {KINDS: _with_kinds(files[KINDS], kinds)}


@functools.cache
def _installed() -> Mapping[str, bytes]:
    """All files, as if they lay in one folder."""
    for root in map(pathlib.Path, kerasq.runtime.__path__):
        headers = [path for path in sorted((root / "include").glob("*.h")) if path.name != "kerasq_native.h"]
        sources = [path for path in sorted((root / "src").glob("kq_*.[ch]")) if path.stem not in ("kq_native", "kq_exports")]
        dsp = sorted((root / "src" / "arm").glob("kq_*.[ch]"))
        if headers and sources and dsp:
            return {path.name: path.read_bytes().replace(b'#include "../', b'#include "') for path in (*headers, *sources, *dsp)}
    raise FileNotFoundError("the sources of the C runtime are not installed with kerasq: install kerasq again")


def _needed(files: Mapping[str, bytes], kernels: frozenset[str]) -> set[str]:
    """The files behind the interface and some kernels."""
    used = dependencies()
    definers = {kernel: _definers(kernel) for kernel in kernels}
    missing = sorted(kernel for kernel, sources in definers.items() if not sources)
    if missing:
        raise KeyError(f"kernels that this version of kerasq does not have: {', '.join(missing)}")
    found: set[str] = set()
    pending = {API, "kerasq_kernels.h", *(source for sources in definers.values() for source in sources)}
    pending |= {source for name in _USED.findall(_text(files[API])) if name != _ALL_KERNELS for source in _definers(name)}
    while pending:
        name = pending.pop()
        found.add(name)
        pending |= used[name] - found
    return found


def _kinds(kernels: frozenset[str]) -> list[str]:
    """The kinds of operators that kernels compute: those that their sources, or the headers of these, say of a kernel."""
    sources = {source for kernel in kernels for source in _definers(kernel)}
    headers = {name for source in sources for name in dependencies()[source] if name.endswith(".h")}
    computed = {kind for name in sources | headers for kind in _KIND.findall(_text(_installed()[name]))}
    return [kind for kind in _RULES.values() if kind in computed]


def _with_kinds(header: bytes, kinds: list[str]) -> bytes:
    rows = "".join(f" \\\n  X({kind}, {kind.lower()})" for kind in kinds)
    return header.replace(b" KQ_EACH_KIND(X)", rows.encode())


@functools.cache
def dependencies() -> dict[str, frozenset[str]]:
    """By file: the headers that it includes, and the sources of the names that it uses and does not define."""
    installed = _installed()
    used = {}
    for name, content in installed.items():
        needed = {header for header in _INCLUDED.findall(content.decode()) if header in installed}
        if name.endswith(".c"):
            sources = map(_definers, _with_inline(set(_USED.findall(_text(content)))))
            needed |= {source for definers in sources if name not in definers for source in definers}
        used[name] = frozenset(needed)
    return used


def _with_inline(names: set[str]) -> set[str]:
    """Some names, and those that the functions in headers among them use."""
    while new := set[str]().union(*(_inline_functions()[name] for name in names & _inline_functions().keys())) - names:
        names |= new
    return names


@functools.cache
def _inline_functions() -> dict[str, frozenset[str]]:
    """The functions in headers, with the names that they use."""
    headers = (_text(content) for name, content in _installed().items() if name.endswith(".h"))
    return {name: frozenset(_USED.findall(line + body)) for text in headers for name, line, body in _INLINE.findall(text)}


@functools.cache
def _definers(name: str) -> frozenset[str]:
    """The sources that define a name, or any that fits the pattern; of several patterns that fit a name, the closest one does."""
    fitting = [(defined, source) for defined, source in _definitions() if _fits(defined, name)]
    closest = 0 if "##" in name else max((_literal(defined) for defined, _ in fitting), default=0)
    return frozenset(source for defined, source in fitting if _literal(defined) >= closest)


def _literal(name: str) -> int:
    """Characters of a pattern that are not pasted."""
    return len(re.sub(r"##\w+?(?=##|$)", "", name).replace("##", ""))


@functools.cache
def _definitions() -> tuple[tuple[str, str], ...]:
    """Names, or patterns of them, with their sources."""
    sources = {name: _text(content) for name, content in _installed().items() if name.endswith(".c")}
    return tuple(
        (name, source) for source, text in sources.items() for rule in _DEFINED for name in sorted(set(rule.findall(text)))
    )


def _fits(one: str, other: str) -> bool:
    """Whether two names, or patterns of names, can be the same."""
    return bool(_pattern(one).fullmatch(other.replace("##", "")) or _pattern(other).fullmatch(one.replace("##", "")))


@functools.cache
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"##\w+?(?=##|$)(?:##)?", r"\\w+", name))


def _text(content: bytes) -> str:
    """Without comments and strings, and every macro on one line."""
    return _STRING.sub('""', _COMMENT.sub(" ", content.decode())).replace("\\\n", " ")
