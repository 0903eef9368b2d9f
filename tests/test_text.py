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


@pytest.fixture
def wide():
    names = ["unit1/first/output", "unit2/second_one/output"]
    return ("name", "shape", "bytes"), [(name, "1x32x32x3", "3,072") for name in names]


def test_tables_are_as_wide_as_they_like_by_default(wide):
    assert [len(line) for line in table(*wide, right=("bytes",)).splitlines()] == [41, 41, 41]


@pytest.mark.parametrize("columns", ["41", "100", "0", "-1", "x", ""])
def test_columns_that_suffice_or_say_nothing(monkeypatch, wide, columns):
    free = table(*wide)
    monkeypatch.setenv("COLUMNS", columns)
    assert table(*wide) == free


def test_columns_that_do_not_suffice_make_several_tables(monkeypatch, wide):
    monkeypatch.setenv("COLUMNS", "30")
    assert table(*wide, right=("bytes",), indent="  ").splitlines() == [
        "  name            shape",
        "  unit1/..output  1x32x32x3",
        "  unit2/..output  1x32x32x3",
        "",
        "  name            bytes",
        "  unit1/..output  3,072",
        "  unit2/..output  3,072",
    ]


@pytest.mark.parametrize("columns", range(20, 60))
def test_no_line_is_longer(monkeypatch, wide, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert max(map(len, table(*wide).splitlines())) <= columns
