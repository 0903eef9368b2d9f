"""What the tests that compare Python with the runtime in C share."""

import pytest

from kerasq.format import dumps
from kerasq.format.samples import SAMPLES
from kerasq.runtime import parity


@pytest.fixture(scope="session")
def runtime(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kqfuzz")
    try:
        program = parity.build(folder)
    except RuntimeError as error:
        try:
            program = parity.build(folder, flags=())  # a compiler without the sanitizers' libraries
        except RuntimeError:
            pytest.skip(str(error))
    with parity.Runtime(program) as runtime:
        yield runtime


@pytest.fixture(scope="session")
def contents():
    return [dumps(make()) for make in SAMPLES.values()]
