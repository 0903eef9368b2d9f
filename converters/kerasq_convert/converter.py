"""`Converter`: from a Keras model to the bytes of a .kq file, called as TFLite's converter is."""

from __future__ import annotations

import os
from typing import Any

import kerasq
from kerasq.format import Model, ModelError, dumps
from kerasq.statistics import Statistics
from kerasq_convert.calibration import Dataset, observe
from kerasq_convert.emit import emit
from kerasq_convert.errors import ConversionError
from kerasq_convert.formats import Formats, choose_formats, float_formats
from kerasq_convert.frontend import read_model
from kerasq_convert.memory import plan_memory
from kerasq_convert.naming import Names
from kerasq_convert.passes import run_passes
from kerasq_convert.report import Report, make_report
from kerasq_convert.settings import Settings
from kerasq_convert.template import settings_template


class Converter:
    """Converts one model. The model itself is never changed.

    Args:
        source: Path of a SavedModel folder, a `.keras` or an `.h5` file; or a `keras.Model`.

    Attributes:
        representative_dataset: Some hundred examples of what the network will see, to choose the formats of buffers: an
            array `(count, ...)`, the path of an `.npy` file, or a callable (or iterable) that yields arrays, or lists of
            arrays for several inputs. `None`: buffers stay FLOAT32, unless there are statistics.
        statistics: What `kerasq.callbacks.ActivationStatistics` wrote: its file or its folder, or a `Statistics`.
        settings: Formats by tensor name: the path of a YAML file, or its contents as a mapping.
        verbose: Whether long work shows a progress bar.

    Example:

    >>> converter = kerasq.Converter.from_keras_model(model)
    >>> converter.representative_dataset = x_train[:256]
    >>> pathlib.Path("model.kq").write_bytes(converter.convert())
    >>> print(converter.report.to_text())
    """

    def __init__(self, source: Any):
        self._source = source
        self.representative_dataset: Dataset | None = None
        self.statistics: str | os.PathLike | Statistics | None = None
        self.settings: str | os.PathLike | dict | Settings | None = None
        self.verbose = False
        self._report: Report | None = None
        self._formats: Formats | None = None

    @classmethod
    def from_keras_model(cls, model: Any) -> Converter:
        """A converter of a live Keras model."""
        return cls(model)

    @classmethod
    def from_saved_model(cls, path: str | os.PathLike) -> Converter:
        """A converter of a SavedModel folder, as `model.export(path)` writes it."""
        return cls(path)

    @classmethod
    def from_file(cls, path: str | os.PathLike) -> Converter:
        """A converter of a `.keras` or `.h5` file."""
        return cls(path)

    def convert(self) -> bytes:
        """The bytes of the .kq file; afterwards `report` and `settings_template()` tell what was done.

        Raises:
            ConversionError: The model, the settings or the data can't be used; every problem is listed.
        """
        settings = Settings.load(self.settings)
        statistics = self._load_statistics()
        graph, removed = run_passes(read_model(self._source))
        names = Names(graph)
        metadata = {"producer": f"kerasq {kerasq.__version__}"}
        if self.representative_dataset is not None:
            reference = plan_memory(emit(graph, names, float_formats(graph, names), Settings(), metadata))
            statistics = observe(reference, self.representative_dataset, verbose=self.verbose)
        formats = choose_formats(graph, names, settings, statistics)
        model = plan_memory(emit(graph, names, formats, settings, metadata))
        content = _verified(model)
        self._formats = formats
        self._report = make_report(graph, model, formats, statistics, removed, len(content))
        return content

    def _load_statistics(self) -> Statistics | None:
        if self.statistics is None or isinstance(self.statistics, Statistics):
            return self.statistics
        try:
            return Statistics.load(self.statistics)
        except OSError as error:
            raise ConversionError(os.fspath(self.statistics), [f"the statistics can't be read: {error.strerror}"]) from error
        except ValueError as error:
            raise ConversionError(os.fspath(self.statistics), [str(error)]) from error

    @property
    def report(self) -> Report:
        """What the last `convert()` did."""
        if self._report is None:
            raise RuntimeError("There is no report yet: call convert() first")
        return self._report

    def settings_template(self) -> str:
        """The YAML text of a settings file with the formats of the last `convert()`."""
        if self._formats is None:
            raise RuntimeError("There are no formats yet: call convert() first")
        return settings_template(self.report, self._formats)


def _verified(model: Model) -> bytes:
    """The bytes of a model that keeps every rule of the file format."""
    try:
        return dumps(model)
    except ModelError as error:
        raise ConversionError("the network can't be written as a .kq file", error.problems) from error


def convert(source: Any, **options: Any) -> bytes:
    """The bytes of the .kq file of a model, in one call.

    Args:
        source: As for `Converter`.
        **options: Attributes of the `Converter`: `representative_dataset`, `statistics`, `settings`, `verbose`.

    Raises:
        ConversionError: As `Converter.convert`.
        TypeError: There is no such option.
    """
    converter = Converter(source)
    for name, value in options.items():
        if name not in ("representative_dataset", "statistics", "settings", "verbose"):
            raise TypeError(f"convert() got an unexpected option {name!r}")
        setattr(converter, name, value)
    return converter.convert()


__all__ = ["Converter", "convert"]
