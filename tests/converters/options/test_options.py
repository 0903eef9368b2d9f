"""Options: misspelt ones, ones that do nothing, and files that there are not, before a model is read."""

import copy
import dataclasses
import inspect
import pickle
import pydoc
from typing import Annotated

import keras
import numpy as np
import pytest
from absl import flags as absl_flags

import kerasq
from kerasq.qformat import QFormat
from kerasq_convert import ConversionError, GoalsMissedError
from kerasq_convert import command as convert_command
from kerasq_convert.options import Options, OptionsError, check_options
from kerasq_convert.options.flags import define_flags, flags_given, kept_files, options_from
from kerasq_convert.options.option import Option, document, options_of
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


def test_a_subclass_may_set_what_is_its_own_before_the_options_are_there():
    class Early(kerasq.Converter):
        def __init__(self, source):
            self.stage = 1
            super().__init__(source)

    converter = Early(None)
    converter.stage += 1
    assert converter.stage == 2
    with pytest.raises(AttributeError, match="Early has no option 'stages'"):
        converter.stages = 1


def test_options_come_as_options_and_as_those_of_a_converter():
    assert kerasq.Converter(None, kerasq.Converter(1, Options(bits=16))).bits == 16
    with pytest.raises(TypeError, match=r"Options\(\.\.\.\) was expected\. Received: Goals"):
        kerasq.Converter(None, Goals())


@pytest.mark.parametrize("cls", [Goals, Options, kerasq.Converter])
def test_signatures_have_types_and_no_declarations(cls):
    assert "Annotated" not in str(inspect.signature(cls))
    assert pydoc.plain(pydoc.render_doc(Goals)).count("max_model_bytes: int | None = None") == 2  # of the class, and of __init__


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"labels": np.zeros(4, int)}, "labels are classes of examples: give representative_dataset"),
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
        (["--labels=nope.npy"], 2, "--labels are classes of examples: give --representative_dataset"),
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


def _no_odd_value(value, options):
    if value % 2:
        yield f"`colour`: an even number was expected beside {options.bits} bits. Received: {value}"


@document
@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class MoreOptions(Options):
    """More of them.

    Attributes:
        {options}
    """

    colour: Annotated[int | None, Option("Of the network.", flag="`NUMBER` of a colour.", check=_no_odd_value)] = 4
    palette: Annotated[str | None, Option("Of colours.", flag="`FILE` of colours.", is_kept=True)] = None


def test_an_option_is_served_everywhere_once_it_is_declared():
    assert "        colour: Of the network.\n        palette: Of colours." in MoreOptions.__doc__
    options = MoreOptions()
    assert options.colour == 4
    with pytest.raises(AttributeError, match=r"MoreOptions has no option 'color'; did you mean 'colour'\?"):
        options.color = 2
    options.colour = 3
    with pytest.raises(OptionsError, match=r"colour: an even number was expected beside 8 bits\. Received: 3"):
        check_options(options)

    values = absl_flags.FlagValues()
    define_flags(MoreOptions, values)
    assert values["colour"].help == "`NUMBER` of a colour."
    values(["command", "--colour=7", "--palette=reds", "--noanalyze", "--min_sqnr_db=3"])
    assert flags_given(MoreOptions, values) == ["min_sqnr_db", "colour", "palette"]
    assert kept_files(MoreOptions, values) == ["reds"]
    read = options_from(MoreOptions, values)
    assert (read.colour, read.palette, read.goals, read.bits) == (7, "reds", Goals(min_sqnr_db=3.0), 8)


def test_every_option_is_documented_and_has_a_flag():
    declared = options_of(Options)
    for option in (*declared, *options_of(Goals)):
        assert f"\n        {option.name}: {option.option.doc.split()[0]} " in f"{kerasq.Converter.__doc__}{Goals.__doc__}"
    assert {option.name for option in declared if option.option.flag is None} == {
        "goals",
        "pareto",
        "verbose",
    }  # --pareto names a file
    assert {option.name for option in declared} == {name for name in vars(kerasq.Converter(None)) if not name.startswith("_")}
    assert {option.name for option in options_of(Goals) if option.option.flag is None} == {"target"}  # the command's own


def test_a_converter_may_start_with_options():
    converter = kerasq.Converter(None, Options(bits=16, signature="serve"))
    assert (converter.bits, converter.signature, converter.criterion) == (16, "serve", "mse")


@pytest.mark.parametrize(
    "error", [ConversionError("net", ["a", "b"]), GoalsMissedError("net", ["a"]), OptionsError(["`bits`: 8"])]
)
def test_errors_are_pickled_and_copied_whole(error):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for twin in (pickle.loads(pickle.dumps(error, protocol)), copy.copy(error), copy.deepcopy(error)):
            assert type(twin) is type(error)
            assert (str(twin), vars(twin)) == (str(error), vars(error))
