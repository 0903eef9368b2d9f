"""The page of a report for a file that was converted before: what its network is, without what only a conversion knows."""

from __future__ import annotations

from kerasq.footprint import Footprint
from kerasq.format import Model, loads
from kerasq.verification.plan import aligned, lower_bound
from kerasq_convert.causes.trials import CORE
from kerasq_convert.comparison.layers import Analysis
from kerasq_convert.report.costs import layer_costs
from kerasq_convert.report.figures import figures
from kerasq_convert.report.html_report import html_report
from kerasq_convert.report.report import Report
from kerasq_convert.report.rows import TensorRow


def file_report(content: bytes, title: str, analysis: Analysis | None = None, fit: Footprint | None = None) -> str:
    """An HTML document: sizes, distributions of kernels, memory map, buffers and tensors of a .kq file.

    Args:
        content: Its bytes.
        title: Its name.
        analysis: `kerasq.compare_with_float` of it, for the errors of its layers.
        fit: `kerasq.fit_on` of it.

    Raises:
        kerasq.format.ModelError: The file is refused.
    """
    model = loads(content)
    rows = [_row(model, index) for index in range(len(model.tensors))]
    constant = [tensor.is_constant for tensor in model.tensors]
    bound = lower_bound(model)
    report = Report(
        buffers=[row for row, is_constant in zip(rows, constant, strict=True) if not is_constant],
        parameters=[row for row, is_constant in zip(rows, constant, strict=True) if is_constant],
        fused=[],
        removed={},
        model_bytes=len(content),
        arena_bytes=aligned(model.arena_bytes, model.arena_alignment),
        arena_lower_bound=bound,
        arena_verdict="",
        notes=[f"{key}: {value}" for key, value in model.metadata.items()],
        analysis=analysis,
    )
    core = fit.board.core if fit else CORE
    return html_report(title, report, figures(model, None), fit, (core, layer_costs(content, core)))


def _row(model: Model, index: int) -> TensorRow:
    tensor = model.tensors[index]
    low, high = tensor.range if tensor.is_constant else (None, None)
    return TensorRow(tensor.name, tensor.shape, str(tensor.format), "", low, high, None, tensor.nbytes, settable=False)
