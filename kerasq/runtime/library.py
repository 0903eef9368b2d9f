"""The shared library: where it lies, and its functions (include/kerasq.h, include/kerasq_native.h) with their types.

`pip install` builds it where there is a C compiler, and puts it beside this module; an editable install puts it into
site-packages, which is then a second folder of this package. Where Python finds these sources first (a script at the top of the
repository), the library of an installed kerasq serves them. The variable KERASQ_LIBRARY names another file, such as one that was
built with sanitizers.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kerasq.runtime
from kerasq.format.model import FORMAT_VERSION

_NAME = {"darwin": "libkerasq.dylib", "win32": "libkerasq.dll"}.get(sys.platform, "libkerasq.so")
_RANK = 4

# The kernels of a Cortex-M4 as this processor emulates them: for tests, and to plan for it. No tier: only who names it gets it.
DSP = "dsp"

OK, STATE_TOO_SMALL = 0, 1  # of the enum kq_status


class TierError(ValueError):
    """This processor, or this build, has no kernels of that name: an argument's, or the variable KERASQ_ISA's."""


class LibraryMissingError(OSError):
    """There is no shared library to load, or it is not one of this version of kerasq; the message has the remedy."""


class Error(ctypes.Structure):
    """kq_error."""

    _fields_ = (("status", ctypes.c_int), ("operator_index", ctypes.c_int32), ("tensor_index", ctypes.c_int32))


class TensorInfo(ctypes.Structure):
    """kq_tensor_info."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("type", ctypes.c_int),
        ("frac_bits", ctypes.c_int),
        ("rank", ctypes.c_uint32),
        ("shape", ctypes.c_uint32 * _RANK),
        ("bytes", ctypes.c_size_t),
        ("constant", ctypes.c_int),
    )


class KernelInfo(ctypes.Structure):
    """kq_operator_info."""

    _fields_ = (
        ("kind", ctypes.c_int),
        ("output", ctypes.c_uint32),
        ("kernel", ctypes.c_char_p),
        ("macs", ctypes.c_uint64),
        ("scratch_bytes", ctypes.c_size_t),
    )


class Interface(ctypes.Structure):
    """kq_interface."""

    _fields_ = tuple(
        (name, ctypes.c_uint32)
        for name in ("number", "format_version", "error_bytes", "tensor_info_bytes", "operator_info_bytes")
    )

    def __str__(self) -> str:
        return ", ".join(f"{name} {getattr(self, name)}" for name, *_ in self._fields_)


# KQ_INTERFACE and what goes with it: a library that says something else was built from other sources, and is not called.
INTERFACE = Interface(5, FORMAT_VERSION, *map(ctypes.sizeof, (Error, TensorInfo, KernelInfo)))

_ADDRESS, _COUNT, _SIZE = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_size_t
_PROTOTYPES = {
    "kq_native_interface": (ctypes.POINTER(Interface),),
    "kq_status_text": (ctypes.c_char_p, ctypes.c_int),
    "kq_native_kernels": (_ADDRESS, ctypes.c_char_p, ctypes.POINTER(ctypes.c_char_p)),
    "kq_native_tier": (ctypes.c_char_p, _COUNT),
    "kq_native_peak": (ctypes.c_uint64, ctypes.c_char_p, _COUNT),
    "kq_native_times": (None, _ADDRESS, _ADDRESS, _ADDRESS),
    "kq_native_threads": (_COUNT, _ADDRESS, _COUNT),
    "kq_native_arena_bytes": (_SIZE, _ADDRESS, _COUNT),
    "kq_native_team": (_ADDRESS, _COUNT, _COUNT),
    "kq_native_dismiss": (None, _ADDRESS),
    "kq_native_run": (None, _ADDRESS, _ADDRESS, _ADDRESS, _ADDRESS, _ADDRESS, _SIZE),
    "kq_prepare": (
        ctypes.c_int,
        *(_ADDRESS, _SIZE, _ADDRESS, _ADDRESS),
        *(ctypes.POINTER(_SIZE), ctypes.POINTER(_ADDRESS), ctypes.POINTER(Error)),
    ),
    "kq_arena_bytes": (_SIZE, _ADDRESS),
    "kq_arena_alignment": (_SIZE, _ADDRESS),
    "kq_invoke": (None, _ADDRESS, _ADDRESS),
    "kq_invoke_operator": (None, _ADDRESS, _COUNT, _ADDRESS),
    "kq_run": (None, _ADDRESS, _ADDRESS, _ADDRESS, _ADDRESS, _SIZE),
    "kq_run_together": (None, _ADDRESS, _ADDRESS, _SIZE, _COUNT, _ADDRESS, _ADDRESS, _SIZE),
    "kq_tensors": (_COUNT, _ADDRESS),
    "kq_operators": (_COUNT, _ADDRESS),
    "kq_inputs": (_COUNT, _ADDRESS),
    "kq_outputs": (_COUNT, _ADDRESS),
    "kq_input": (_COUNT, _ADDRESS, _COUNT),
    "kq_output": (_COUNT, _ADDRESS, _COUNT),
    "kq_input_name": (ctypes.c_char_p, _ADDRESS, _COUNT),
    "kq_output_name": (ctypes.c_char_p, _ADDRESS, _COUNT),
    "kq_describe_tensor": (TensorInfo, _ADDRESS, _COUNT),
    "kq_describe_operator": (KernelInfo, _ADDRESS, _COUNT),
    "kq_tensor_data": (_ADDRESS, _ADDRESS, _COUNT, _ADDRESS),
    "kq_selftest": (ctypes.c_int, _ADDRESS, _ADDRESS, ctypes.POINTER(Error)),
    "kq_crc32": (_COUNT, _COUNT, _ADDRESS, _SIZE),
}


def candidates() -> list[Path]:
    """Where the library may be, the first that exists counts."""
    chosen = os.environ.get("KERASQ_LIBRARY")
    if chosen:
        return [Path(chosen)]
    installed = Path(sysconfig.get_path("platlib"), "kerasq", "runtime")
    return [folder / _NAME for folder in dict.fromkeys([*map(Path, kerasq.runtime.__path__), installed])]


@functools.cache
def load() -> ctypes.CDLL:
    """The library, its functions declared. ctypes releases the interpreter lock while one of them runs.

    Raises:
        LibraryMissingError: There is none.
    """
    places = candidates()
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise LibraryMissingError(
            f"The native library is not installed ({', '.join(map(str, places))}: no such file). "
            + (
                "Correct the variable KERASQ_LIBRARY or remove it."
                if "KERASQ_LIBRARY" in os.environ
                else "Install a C compiler and then kerasq again, or use engine='reference', which gives the same integers."
            )
        )
    try:
        library = ctypes.CDLL(os.fspath(file.absolute()))
        _shake_hands(library)
        for name, (result, *arguments) in _PROTOTYPES.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError, _OtherVersionError) as error:
        otherwise = ", or correct the variable KERASQ_LIBRARY, or remove it" if "KERASQ_LIBRARY" in os.environ else ""
        what = f"{file} is not the native library of this version of kerasq, for this processor: {error}"
        raise LibraryMissingError(f"{what}. Install kerasq again{otherwise}.") from error
    return library


@functools.cache
def plain_run() -> Callable[..., None]:
    """kq_run by itself, called in two thirds of the time: for arguments that are C objects already (`ctypes.c_void_p` ...)."""
    prototype: Any = ctypes.CFUNCTYPE(*_PROTOTYPES["kq_run"])  # type: ignore[arg-type]
    return prototype(ctypes.cast(load().kq_run, _ADDRESS).value)


class _OtherVersionError(Exception):
    """The library was built from other sources."""


def _shake_hands(library: ctypes.CDLL) -> None:
    """Refuses a library of another version before any other of its functions is called."""
    try:
        ask = library.kq_native_interface
    except AttributeError:
        raise _OtherVersionError("it has no kq_native_interface, so it is older, or another library altogether") from None
    ask.restype, ask.argtypes = ctypes.POINTER(Interface), ()
    answer = ask().contents
    if bytes(answer) != bytes(INTERFACE):
        raise _OtherVersionError(f"its interface is {answer}, and {INTERFACE} is expected")


def available() -> bool:
    """Whether there is a library to load."""
    try:
        load()
    except LibraryMissingError:
        return False
    return True


def tiers() -> tuple[str, ...]:
    """Names of the sets of kernels that run on this processor, `"portable"` first, the fastest last.

    Raises:
        LibraryMissingError: There is no library.
    """
    library = load()
    names: list[str] = []
    while name := library.kq_native_tier(len(names)):
        names.append(name.decode())
    return tuple(names)


def multiply(isa: str, rounds: int) -> int:
    """Runs nothing but a tier's multiply instruction, for a caller to time.

    Returns:
        How many multiply-accumulates it did; 0 for a tier without such an instruction.
    """
    return load().kq_native_peak(isa.encode(), rounds)


def kernels(isa: str | None) -> tuple[int, str]:
    """Address of the kq_kernels of a tier, and the tier's name.

    Args:
        isa: One of `tiers()`, or `DSP`; `None` for what the variable KERASQ_ISA names, else for the fastest.

    Raises:
        TierError: There is no such tier here.
        LibraryMissingError: There is no library.
    """
    source = "isa" if isa else "KERASQ_ISA"
    isa = isa or os.environ.get("KERASQ_ISA") or None
    chosen = ctypes.c_char_p()
    address = load().kq_native_kernels(isa.encode() if isa else None, ctypes.byref(chosen))
    if not address:
        raise TierError(
            f"`{source}` must be one of {', '.join(map(repr, tiers()))} on this processor, with this build. "
            f"Received: {source}={isa!r}"
        )
    assert chosen.value is not None
    return address, chosen.value.decode()
