"""Options: misspelt ones, ones that do nothing, and files that there are not, before a model is read."""

import keras
import numpy as np
import pytest

import kerasq
from kerasq.qformat import QFormat
from kerasq_convert import ConversionError
from kerasq_convert import command as convert_command
from kerasq_convert.options import OptionsError
from kerasq_convert.search import Goals

X = np.zeros((4, 4), np.float32)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("representative_datset", "no option 'representative_datset'; did you mean 'representative_dataset'?"),
        ("per_chanel", "'per_channel'"),
        ("Bits", "'bits'"),
        ("optimizations", "there are representative_dataset, statistics"),
    ],
)
def test_a_misspelt_attribute_names_the_nearest(name, words):
    with pytest.raises(AttributeError, match="Converter") as error:
        setattr(kerasq.Converter(None), name, 1)
    assert words in str(error.value)
    with pytest.raises(TypeError, match="unexpected option"):
        kerasq.convert(None, **{name: 1})


def test_every_option_can_be_set_and_a_subclass_may_have_its_own():
    class Own(kerasq.Converter):
        stage = None

    converter = Own(None)
    for name in [name for name in vars(converter) if not name.startswith("_")]:
        setattr(converter, name, getattr(converter, name))
    converter.stage = 1
    with pytest.raises(AttributeError, match="Own has no option 'stages'"):
        converter.stages = 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"labels": np.zeros(4, int), "representative_dataset": X}, "labels are for goals.max_accuracy_drop alone"),
        ({"statistics": "none/", "representative_dataset": X}, "statistics would not be read"),
        ({"refine": True}, "refine compares outputs: give representative_dataset"),
        ({"goals": Goals(max_model_bytes=9)}, "goals.max_model_bytes compares outputs"),
        ({"goals": 30}, "goals: kerasq_convert.search.Goals"),
        ({"bits": 16}, "bits is the width of what was observed"),
        ({"bits": 12}, "bits: 8 or 16"),
        ({"criterion": "msee"}, "did you mean 'mse'?"),
        ({"input_type": "UFIXED9_0"}, "input_type: "),
    ],
)
def test_options_that_do_nothing_or_are_wrong(options, words):
    with pytest.raises(OptionsError) as error:
        kerasq.convert("none.keras", **options)
    assert words in str(error.value)


@pytest.mark.parametrize("name", ["representative_dataset", "statistics", "settings"])
def test_files_are_looked_for_before_the_model_is(name):
    with pytest.raises(ConversionError, match="nope: it can't be read"):
        kerasq.convert("none.keras", **{name: "nope"})


@pytest.mark.parametrize("labels", ["nope.npy", np.zeros((4, 10), int), np.zeros(4), [[1, 2]]])
def test_labels_are_looked_at_before_the_model_is(labels):
    with pytest.raises(ConversionError, match=r"nope.npy|integers of shape \(count,\)"):
        kerasq.convert("none.keras", labels=labels, representative_dataset=X, goals=Goals(max_accuracy_drop=0.1))


def test_an_input_type_may_be_a_format():
    with pytest.raises(ConversionError, match=r"none\.keras"):
        kerasq.convert("none.keras", input_type=QFormat.parse("UFIXED8_0"))


EXAMPLES = ("--representative_dataset", "x.npy")


@pytest.mark.parametrize(
    ("flags", "status", "words"),
    [
        (["--refine"], 2, "--refine compares outputs: give --representative_dataset"),
        (["--min_sqnr_db=30"], 2, "--min_sqnr_db compares outputs: give --representative_dataset"),
        (["--max_accuracy_drop=0.1", *EXAMPLES], 2, "--max_accuracy_drop: give --labels"),
        (["--labels=nope.npy", *EXAMPLES], 2, "--labels are for --max_accuracy_drop alone"),
        (["--labels=nope.npy", "--max_accuracy_drop=0.1", *EXAMPLES], 1, "nope.npy"),
        (["--labels=x.npy", "--max_accuracy_drop=0.1", *EXAMPLES], 1, "x.npy: integers of shape (count,)"),
        (["--bits=12"], 2, "--bits: 8 or 16"),
        (["--bits=16"], 2, "--bits is the width of what was observed: give --representative_dataset or --statistics"),
        (["--correct_bias"], 2, "--correct_bias compares means: give --representative_dataset"),
        (["--input_type=PIXELS"], 2, "--input_type: A format is one of"),
        (["--statistics=x", *EXAMPLES], 2, "--statistics would not be read"),
        (["--representative_dataset=nope"], 1, "nope: it can't be read"),
        (["--statistics=nope"], 1, "nope: it can't be read"),
        (["--settings=nope.yaml"], 1, "nope.yaml: it can't be read"),
        (["--embed_test=nope.npy"], 1, "nope.npy: No such file"),
        (["--report=r.kq"], 2, "--report writes HTML"),
        (["--write_settings=s.json"], 2, "--write_settings writes YAML"),
        (["--report=s.yaml", "--write_settings=./s.yaml"], 2, "--report writes HTML, and names with .yaml are for YAML"),
        (["--report=same", "--write_settings=./same"], 2, "name the same file"),
        (["--output=x.npy", *EXAMPLES], 2, "names with .npy are for NumPy's array"),
        (["--report=x.npy.html", "--representative_dataset=x.npy.html"], 2, "would replace x.npy.html, which is read"),
        (["--c_name=net"], 2, "go with --emit_c"),
        (["--replan"], 2, "--replan is for .kq files"),
    ],
)
def test_the_command_speaks_of_flags_and_reads_no_model(tmp_path, monkeypatch, capsys, flags, status, words):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    before = sorted(tmp_path.iterdir())
    assert convert_command.main(["kerasq-convert", "none.keras", *flags]) == status
    out, errors = capsys.readouterr()
    assert words in errors
    assert "none.keras" not in errors
    assert out == ""
    assert sorted(tmp_path.iterdir()) == before


def test_statistics_that_are_missing_in_their_folder(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(ConversionError, match=r"activation_statistics\.json: the statistics can't be read"):
        kerasq.convert(model, statistics=tmp_path)
