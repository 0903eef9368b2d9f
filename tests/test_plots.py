import builtins
import sys

import numpy as np
import pytest

from kerasq.conformance.samples import SAMPLES
from kerasq.plots import kernel_histograms, magnitude_percentiles, plot_buffers, plot_ranges
from kerasq.statistics import Histogram, Statistics
from kerasq.verification.plan import profile


def statistics_of(model, scale=1.0):
    rng = np.random.default_rng(1)
    statistics = Statistics()
    for tensor in model.activations():
        statistics.add(tensor.name, scale * rng.normal(size=500))
    return statistics


@pytest.fixture(params=list(SAMPLES))
def model(request):
    return SAMPLES[request.param]()


@pytest.fixture
def axes_of():
    pytest.importorskip("matplotlib")
    return lambda figure: figure.axes[0]


def test_magnitude_percentiles():
    values = np.random.default_rng(2).normal(size=50_000)
    histogram = Histogram()
    histogram.add(np.append(values, np.zeros(1000)))
    expected = np.percentile(np.abs(values), [1, 50, 99, 100])
    np.testing.assert_allclose(magnitude_percentiles(histogram, (1, 50, 99, 100)), expected, atol=2 * histogram.bin_width)


def test_magnitude_percentiles_are_never_zero():
    histogram = Histogram()
    histogram.add(np.array([1e-20] * 9 + [1.0]))
    assert min(magnitude_percentiles(histogram, (0, 50))) > 0


def test_ranges_have_a_row_per_activation_and_a_band_per_fixed_format(model, axes_of):
    axes = axes_of(plot_ranges(statistics_of(model), model))
    activations = list(model.activations())
    labels = [label.get_text().split() for label in axes.get_yticklabels()]
    assert labels == [[tensor.name, str(tensor.format)] for tensor in activations]
    bands = {(bar.get_x(), bar.get_x() + bar.get_width(), round(bar.get_y() + bar.get_height() / 2)) for bar in axes.patches}
    for row, tensor in enumerate(activations):
        if tensor.format.is_fixed:
            assert (tensor.format.step, tensor.format.max, row) in bands


def test_ranges_show_the_largest_magnitude(model, axes_of):
    statistics = statistics_of(model, scale=8.0)
    axes = axes_of(plot_ranges(statistics, model))
    dots = {round(line.get_ydata()[0]): line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 1}
    for row, tensor in enumerate(model.activations()):
        assert dots[row] == max(-statistics[tensor.name].min, statistics[tensor.name].max)


def test_ranges_of_tensors_that_are_all_zero(model, axes_of):
    assert len(axes_of(plot_ranges(statistics_of(model, scale=0.0), model)).get_yticklabels()) > 1


def test_statistics_of_another_network(model):
    statistics = Statistics()
    statistics.add("other/output", [1.0])
    with pytest.raises(ValueError, match=r"another network.*other/output"):
        plot_ranges(statistics, model)


def test_ranges_have_a_row_per_kernel_below(model, axes_of):
    _, *panels = plot_ranges(statistics_of(model), model).axes
    kernels = kernel_histograms(model)
    assert len(panels) == bool(kernels)
    labels = [label.get_text().split() for panel in panels for label in panel.get_yticklabels()]
    assert labels == [[name, str(qformat)] for name, qformat, _ in kernels]
    stored = {tensor.name: tensor for tensor in model.constants() if tensor.name.endswith("kernel")}
    assert {name for name, *_ in kernels} == {name for name, tensor in stored.items() if not tensor.format.is_sign}
    for panel in panels:
        dots = {round(line.get_ydata()[0]): line.get_xdata()[0] for line in panel.lines if len(line.get_xdata()) == 1}
        for row, (name, _, histogram) in enumerate(kernels):
            if histogram.count > histogram.zeros:
                assert dots[row] == pytest.approx(np.abs(stored[name].values).max())


def legend_of(axes):
    return axes.figure.legends[0].get_texts()


def test_buffers_stack_up_to_the_profile(model, axes_of):
    axes = axes_of(plot_buffers(model))
    totals = profile(model)
    heights = np.zeros(len(totals), np.int64)
    for bar in axes.patches:
        heights[round(bar.get_x() + bar.get_width() / 2) + 1] += bar.get_height()
    assert heights.tolist() == totals
    assert any(f"{max(totals):,}" in text.get_text() for text in axes.texts)
    assert f"arena {model.arena_bytes:,} bytes" in axes.get_legend().get_texts()[0].get_text()
    kept = sum(int(text.get_text().split(", ", 1)[1].split(" bytes")[0].replace(",", "")) for text in legend_of(axes))
    assert kept == max(totals), "the legend names what is kept at the peak"
    for place, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True):
        assert float(label.get_text()) == pytest.approx(place / 1024, rel=1e-4)
    assert len(axes.get_xticklabels()) == len(model.operators) + 2


@pytest.mark.parametrize("plot", [plot_buffers, lambda model: plot_ranges(statistics_of(model), model)])
def test_figures_can_be_written(model, plot, tmp_path, axes_of):
    figure = plot(model)
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_missing_matplotlib_names_the_extra(model, monkeypatch):
    real = builtins.__import__

    def without_matplotlib(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError("No module named 'matplotlib'")
        return real(name, *args, **kwargs)

    for name in [name for name in sys.modules if name.startswith("matplotlib")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    with pytest.raises(ImportError, match=r"kerasq\[plot\]"):
        plot_buffers(model)
