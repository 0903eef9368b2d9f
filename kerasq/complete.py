"""What the distribution `kerasq-runtime` (kerasq/runtime/light) leaves out: who asks for it is told how it comes."""

from __future__ import annotations

import importlib.util

_LIGHT = "kerasq_runtime"  # a package that only that distribution installs
_CONVERTER = "kerasq_convert"  # and one that only the complete distribution does
_REPLACE = "pip uninstall -y kerasq-runtime && pip install kerasq"


class IncompleteError(ModuleNotFoundError):
    """Something is asked for that needs packages which are not installed; the message says which command installs them."""


def needed(what: str, module: str) -> IncompleteError:
    """The error of something that a missing module is needed for."""
    if _is_installed(_LIGHT):
        reason = f"{what}: kerasq-runtime runs .kq files and has nothing more. All of kerasq comes with: {_REPLACE}"
    else:
        reason = f"{what} needs {module}, which is not installed. It comes with: pip install {module}"
    return IncompleteError(reason, name=module)


def check_one_distribution() -> None:
    """Refuses to work where both distributions are installed: they have the same files, maybe of two versions.

    Raises:
        ImportError: They are.
    """
    if _is_installed(_LIGHT) and _is_installed(_CONVERTER):
        raise ImportError(
            "kerasq and kerasq-runtime are both installed, and overwrite each other's files. All of kerasq stays with: "
            "pip uninstall -y kerasq kerasq-runtime && pip install kerasq"
        )


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
