"""Folders that tests only read."""

from __future__ import annotations

import pytest

from converters.c_folder.folders import first, second, write


@pytest.fixture(scope="session")
def folder_of_two(tmp_path_factory):
    """Two networks, `one` and `two`."""
    folder = tmp_path_factory.mktemp("folder") / "net"
    assert write(first(), folder, "one") == 0
    assert write(second(), folder, "two") == 0
    return folder


@pytest.fixture
def folder(folder_of_two):
    return folder_of_two
