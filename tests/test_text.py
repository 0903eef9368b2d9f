"""Text for terminals."""

import pytest

from kerasq.text import first_of, printable, table


def test_table():
    rows = [("conv1", "", "12"), ("a long name", "", "1,234"), ("x", "", "")]
    assert table(("name", "nothing", "bytes"), rows, right=("bytes",)).splitlines() == [
        "name         bytes",
        "conv1           12",
        "a long name  1,234",
        "x",
    ]


def test_table_without_rows():
    assert table(("name", "bytes"), []) == ""


def test_rows_have_a_cell_for_each_column():
    with pytest.raises(ValueError, match=r"shorter|longer"):
        table(("name", "bytes"), [("conv1",)])


@pytest.mark.parametrize(("text", "shown"), [("größe", "größe"), ("x\x1b[2J\n", r"x\x1b[2J\n"), ("\u202e", r"\u202e")])
def test_printable(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("problems", "line"), [(["a"], "a"), (["a", "b"], "a (and 1 more problem)"), (["a", "b", "c"], "a (and 2 more problems)")]
)
def test_first_of(problems, line):
    assert first_of(problems) == line
