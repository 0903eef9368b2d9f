"""A range that a few outliers set, so that all other values are rounded to coarse steps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kerasq.histogram import Histogram
from kerasq.qformat import QFormat, fixed
from kerasq_convert.causes.cause import Remedy, Suspicion
from kerasq_convert.causes.evidence import Evidence
from kerasq_convert.comparison.analysis_text import share_percent
from kerasq_convert.formats import ranges
from kerasq_convert.formats.choice import Reason
from kerasq_convert.formats.ranges import Criterion

KIND = "outliers"
FEW = 0.5  # per cent of the values that are outliers at most
FAR = 2.0  # times the end of the better format
NAMED = 5  # examples
BITS = 2  # by which the format is finer without them


def suspect(
    evidence: Evidence, without: Mapping[str, QFormat], lines: Mapping[str, str], inputs: Mapping[str, np.ndarray]
) -> Suspicion | None:
    """The range of a tensor, if it would be a quarter without a few values.

    Args:
        evidence: Of the tensor.
        without: The formats of all tensors whose ranges a few values set, without these.
        lines: The same as settings give them.
        inputs: The first examples, by name of the input.
    """
    histogram, format_ = evidence.histogram, evidence.format
    if histogram is None or not evidence.by_output or evidence.name not in without:
        return None
    better = without[evidence.name]
    examples = _examples(evidence, inputs, better)
    share = share_percent(histogram.saturated_share(better))
    largest = max(-histogram.min, histogram.max)
    why = (
        f"a few outliers set its range: up to {largest:.4g} was observed, and {share} of its values lie beyond "
        f"{better.max:.4g}{examples}; so {format_} has steps of {format_.step:g} where {better} has {better.step:g}"
    )
    remedies = [
        Remedy(options={"criterion": str(Criterion.PERCENTILE)}),
        Remedy(buffers={evidence.name: lines[evidence.name]}),
        Remedy(options={"criterion": str(Criterion.KL)}),
    ]
    if len(lines) > 1:
        remedies.append(Remedy(buffers=lines))
    return Suspicion(KIND, why, tuple(remedies))


def trimmed(reason: Reason, format_: QFormat, histogram: Histogram | None) -> QFormat | None:
    """The format of a tensor without its largest values; `None` where that is not much finer."""
    if reason is not Reason.OBSERVED or histogram is None or not histogram.count:
        return None
    better = without_largest(format_, histogram)
    return better if better is not None and (better.frac_bits or 0) >= (format_.frac_bits or 0) + BITS else None


def without_largest(format_: QFormat, histogram: Histogram) -> QFormat | None:
    """The best format of a family without the largest values; `None` where only zeros are left."""
    low, high = histogram.percentile(FEW / 2), histogram.percentile(100 - FEW / 2)
    kept = histogram.mapped(lambda values: np.where((values >= low) & (values <= high), values, np.nan))
    if not kept.count or kept.zeros == kept.count:
        return None
    return ranges.best_for_histogram(fixed(format_.bits, signed=format_.signed), kept)


def _examples(evidence: Evidence, inputs: Mapping[str, np.ndarray], format_: QFormat) -> str:
    """In which examples an input of the network is far beyond a format, where these are few."""
    if evidence.name not in inputs:
        return ""
    values = inputs[evidence.name]
    largest = np.max(np.abs(values.reshape(len(values), -1)), axis=1)
    places = np.flatnonzero(largest > FAR * format_.max)
    return f" (the largest in examples {', '.join(map(str, places))}, from 0)" if 0 < places.size <= NAMED else ""
