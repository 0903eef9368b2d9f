"""What the tests that compare Python with the runtime in C share."""

import pytest

from kerasq.conformance import sanitized
from kerasq.conformance.samples import SAMPLES
from kerasq.format import dumps


@pytest.fixture(scope="session")
def sanitized_program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kqfuzz")
    try:
        return sanitized.build(folder)
    except RuntimeError as error:
        try:
            return sanitized.build(folder, flags=())  # a compiler without the sanitizers' libraries
        except RuntimeError:
            pytest.skip(str(error))


@pytest.fixture(scope="session")
def runtime(sanitized_program):
    with sanitized.Runtime(sanitized_program) as runtime:
        yield runtime


@pytest.fixture(scope="session")
def contents():
    return [dumps(make()) for make in SAMPLES.values()]
