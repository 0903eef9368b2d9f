"""What tests of several examples share."""

from __future__ import annotations

import pathlib
import sys

import pytest

import kerasq

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
sys.path += [str(EXAMPLES / "benchmarks"), str(EXAMPLES / "cortex_m")]


@pytest.fixture(scope="session")
def converted_standins() -> dict[str, bytes]:
    """Each network of examples/benchmarks, untrained, as a .kq file; batch normalizations as they begin."""
    from standins import NETWORKS

    return {
        name: kerasq.convert(network.build(), representative_dataset=network.data(4, 1)[0], correct_bias=False)
        for name, network in NETWORKS.items()
    }
