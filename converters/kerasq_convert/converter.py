"""`Converter`: from a Keras model to the bytes of a .kq file, called as TFLite's converter is."""

from __future__ import annotations

import os
from typing import Any

from kerasq.text import shown
from kerasq_convert.causes.trials import CORE
from kerasq_convert.errors import GoalsMissedError
from kerasq_convert.options import Options
from kerasq_convert.options.option import document, options_of
from kerasq_convert.pipeline import Conversion, run_stages
from kerasq_convert.report.costs import layer_costs
from kerasq_convert.report.figures import figures
from kerasq_convert.report.fit import fit_on
from kerasq_convert.report.html_report import html_report
from kerasq_convert.report.report import Report
from kerasq_convert.report.template import settings_template
from kerasq_convert.settings.settings import nearest


@document
class Converter(Options):
    """Converts one model. The model itself is never changed. Inputs and outputs of shape (batch,) become (batch, 1).

    Args:
        source: Path of a SavedModel folder, a `.keras` or an `.h5` file; or a `keras.Model`.
        options: What the attributes are at first; `None`: their defaults.

    Attributes:
        {options}

    There are no other attributes: to set a misspelt one is an `AttributeError` that names the nearest.

    Example:

    >>> converter = kerasq.Converter.from_keras_model(model)
    >>> converter.representative_dataset = x_train[:256]
    >>> pathlib.Path("model.kq").write_bytes(converter.convert())
    >>> print(converter.report.to_text())
    """

    _source: Any = None
    _conversion: Conversion | None = None

    def __init__(self, source: Any, options: Options | None = None):
        options = Options() if options is None else options
        if not isinstance(options, Options):
            raise TypeError(f"`options`: kerasq_convert.options.Options(...) was expected. Received: {shown(options)}")
        super().__init__(**{declared.name: getattr(options, declared.name) for declared in options_of(Options)})
        self._source = source

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
            GoalsMissedError: A goal or limit is missed; `report` then tells how near the network came.
        """
        self._conversion = run_stages(self._source, self)
        if self._conversion.missed:
            raise GoalsMissedError("goals missed", self._conversion.missed)
        return self._conversion.content

    @property
    def report(self) -> Report:
        """What the last `convert()` did."""
        return self._last("report").report

    def figures(self) -> dict[str, Any]:
        """What the pictures of the HTML report show: see `kerasq_convert.report.figures`."""
        last = self._last("figures")
        return figures(last.model, last.statistics)

    def html_report(self, title: str = "network", target: str | None = None) -> str:
        """One HTML file with the report of the last `convert()` and its pictures.

        Args:
            title: Name of the network.
            target: A board or core, as kerasq-inspect takes it: what the network takes there is a part of the report, too.

        Raises:
            ValueError: There is no such board, or the network computes in float.
        """
        content = self._last("report").content
        fit = fit_on(content, target) if target else None
        core = fit.board.core if fit else CORE
        return html_report(title, self.report, self.figures(), fit, (core, layer_costs(content, core)))

    def settings_template(self) -> str:
        """The YAML text of a settings file with the formats of the last `convert()`."""
        last = self._last("formats")
        return settings_template(last.report)

    def _last(self, what: str) -> Conversion:
        if self._conversion is None:
            raise RuntimeError(f"There {'is' if what == 'report' else 'are'} no {what} yet: call convert() first")
        return self._conversion


def convert(source: Any, **options: Any) -> bytes:
    """The bytes of the .kq file of a model, in one call.

    Args:
        source: As for `Converter`.
        **options: Attributes of the `Converter`: `representative_dataset`, `criterion` and so on.

    Raises:
        ConversionError: As `Converter.convert`.
        TypeError: There is no such option.
    """
    names = [declared.name for declared in options_of(Options)]
    for name in options:
        if name not in names:
            raise TypeError(f"convert() got an unexpected option {name!r}{nearest(name, names)}")
    return Converter(source, Options(**options)).convert()
