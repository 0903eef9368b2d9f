"""Embedding: numbers come in, rows of a table come out, of every number, also of those that no example had."""

import keras
import numpy as np
import pytest
import yaml

import kerasq
from converters.zoo import L, signal_to_noise_db
from kerasq import format as kq
from kerasq_convert import ConversionError
from kerasq_convert.report.template import settings_template

TIERS = (*kerasq.runtime.tiers(), kerasq.runtime.DSP) if kerasq.runtime.available() else ()
STEPS = 9


def network(rows, *layers, dtype="int32", **options):
    keras.utils.set_random_seed(3)
    embedding = L.Embedding(rows, 6, embeddings_initializer="normal", name="words", **options)
    return keras.Sequential([keras.Input((STEPS,), name="numbers", dtype=dtype), embedding, *layers])


def converted(model, rows):
    """The file, whose examples have the smallest third of many numbers only."""
    few = np.random.default_rng(0).integers(0, max(rows // 3, 5), (32, STEPS)).astype(model.inputs[0].dtype)
    return kerasq.convert(model, representative_dataset=lambda: [[few]])


@pytest.mark.parametrize(
    ("rows", "dtype", "stored"), [(5, "int32", "UFIXED8_0"), (180, "float32", "UFIXED8_0"), (300, "int32", "UFIXED16_0")]
)
def test_every_row_is_found(rows, dtype, stored):
    model = network(rows, dtype=dtype)
    content = converted(model, rows)
    assert str(kq.loads(content).tensors[kq.loads(content).inputs[0]].format) == stored
    numbers = np.resize(np.arange(rows), (-(-rows // STEPS), STEPS)).astype(dtype)
    expected = model.predict(numbers, verbose=0)
    found = kerasq.Interpreter(model_content=content, engine="reference").predict(numbers)
    for row, other in zip(expected.reshape(-1, 6), found.reshape(-1, 6), strict=True):
        assert signal_to_noise_db(row, other) > 25
    for tier in TIERS:
        np.testing.assert_array_equal(kerasq.Interpreter(model_content=content, isa=tier).predict(numbers), found, tier)


def test_in_a_network_of_words():
    rows = 60
    model = network(rows, L.Conv1D(8, 3, activation="relu"), L.GlobalAveragePooling1D(), L.Dense(4), mask_zero=True)
    numbers = np.random.default_rng(1).integers(0, rows, (64, STEPS)).astype(np.int32)
    found = kerasq.Interpreter(model_content=converted(model, rows)).predict(numbers)
    assert signal_to_noise_db(model.predict(numbers, verbose=0), found) > 25


@pytest.mark.parametrize(
    ("setting", "table", "rows_in"),
    [(None, "FIXED8", "FIXED8"), ("FIXED4", "FIXED4", "FIXED8"), ("FIXED16", "FIXED16", "FIXED16"), ("FLOAT32",) * 3],
)
def test_formats_of_the_table(setting, table, rows_in):
    """Rows come out in the format of the table, or in 8 bits that hold what it holds."""
    rows = 50
    model = network(rows, L.Dense(3))
    few = np.arange(45, dtype=np.int32).reshape(5, STEPS)
    settings = None if setting is None else {"parameters": {"words/kernel": setting}}
    converted_model = kq.loads(kerasq.convert(model, representative_dataset=lambda: [[few]], settings=settings))
    tensor, output = converted_model.tensor("words/kernel"), converted_model.tensor("words/output")
    assert converted_model.operators[0].kind.name == "GATHER"
    assert (tensor.format.family, output.format.family) == (table, rows_in)
    assert tensor.format.frac_bits == output.format.frac_bits
    assert tensor.shape == (rows, 6)
    stored = kerasq.Interpreter(model_content=converted_model).tensors(few)["words/output"]
    np.testing.assert_array_equal(stored.reshape(*few.shape, 6), tensor.data[few])


def test_what_follows_is_computed_in_the_table():
    """One operator, one row of bytes for each number: a curve, a scaling and a clamp cost nothing."""
    model = network(40, L.Activation("tanh"), L.Rescaling(3.0, offset=0.1), L.ReLU())
    content = converted(model, 40)
    written = kq.loads(content)
    assert [operator.kind.name for operator in written.operators] == ["GATHER"]
    assert {str(written.output(operator).format.family) for operator in written.operators} == {"UFIXED8"}
    numbers = np.arange(36, dtype=np.int32).reshape(4, STEPS)
    assert signal_to_noise_db(model.predict(numbers, verbose=0), kerasq.Interpreter(model_content=content).predict(numbers)) > 35


def test_tables_beside_each_other_read_the_same_numbers():
    numbers = keras.Input((STEPS,), name="numbers", dtype="int32")
    parts = [
        L.Embedding(rows, 6, embeddings_initializer="normal", name=name)(numbers) for rows, name in ((400, "long"), (20, "short"))
    ]
    model = keras.Model(numbers, L.Add()(parts))
    few = np.random.default_rng(0).integers(0, 20, (32, STEPS)).astype(np.int32)
    content = kerasq.convert(model, representative_dataset=lambda: [[few]])
    written = kq.loads(content)
    assert [operator.kind.name for operator in written.operators] == ["GATHER", "GATHER", "ADD"]
    assert str(written.tensors[written.inputs[0]].format) == "UFIXED16_0"
    assert signal_to_noise_db(model.predict(few, verbose=0), kerasq.Interpreter(model_content=content).predict(few)) > 25


def test_numbers_of_any_type_and_beyond_the_table():
    """Values, whatever integers they come in; below 0 the first row, beyond the last the last one."""
    model = network(30)
    content = converted(model, 30)
    for engine in ("native", "reference") if TIERS else ("reference",):
        interpreter = kerasq.Interpreter(model_content=content, engine=engine)
        numbers = np.arange(STEPS) * 3
        expected = interpreter.predict(numbers.astype(np.int64))
        for dtype in (np.int8, np.uint8, np.int16, np.uint32, np.float32, np.float64):
            np.testing.assert_array_equal(interpreter.predict(numbers.astype(dtype)), expected, str(dtype))
        beyond = interpreter.predict(np.array([-1, -70000, 0, 29, 30, 255, 256, 70000, 1 << 40]))
        ends = interpreter.predict(np.array([0, 0, 0, 29, 29, 29, 29, 29, 29]))
        np.testing.assert_array_equal(beyond, ends)


def test_a_shared_table_is_written_once():
    numbers = [keras.Input((STEPS,), name=name, dtype="int32") for name in ("left", "right")]
    shared = L.Embedding(300, 16, embeddings_initializer="normal", name="words")
    model = keras.Model(numbers, L.Concatenate()([shared(x) for x in numbers]))
    few = np.random.default_rng(0).integers(0, 300, (32, STEPS)).astype(np.int32)
    content = kerasq.convert(model, representative_dataset=lambda: [[few, few]])
    assert 300 * 16 < len(content) < 300 * 16 + 1500


def test_tuning_searching_and_widths_leave_a_table_sound():
    rows = 60
    model = network(rows, L.Conv1D(8, 3, activation="relu"), L.GlobalAveragePooling1D(), L.Dense(4))
    data = np.random.default_rng(2).integers(0, rows, (64, STEPS)).astype(np.int32)
    wanted = model.predict(data, verbose=0)
    narrow = {"weight_bits": 4, "end_weight_bits": 4}
    for options in ({"tune": True, **narrow}, {"refine": True, "analyze": True}, {"fill_ranges": True}, {"bits": 16}):
        content = kerasq.convert(model, representative_dataset=lambda: [[data]], **options)
        least = 18 if "weight_bits" in options else 25
        assert signal_to_noise_db(wanted, kerasq.Interpreter(model_content=content).predict(data)) > least, options
        stored = kq.loads(content).tensor("words/kernel")
        assert stored.format.bits == (4 if "weight_bits" in options else 8)


def test_settings_of_a_conversion_give_the_same_file():
    model = network(40, L.Dense(3))
    data = np.arange(36, dtype=np.int32).reshape(4, STEPS)
    converter = kerasq.Converter(model)
    converter.representative_dataset = lambda: [[data]]
    content = converter.convert()
    settings = yaml.safe_load(settings_template(converter.report))
    again = kerasq.convert(model, representative_dataset=lambda: [[data]], settings=settings)
    assert again == content


def test_numbers_of_the_network_itself_are_refused():
    x = keras.Input((4,), name="x")
    model = keras.Model(x, L.Embedding(5, 6, name="words")(keras.ops.cast(L.Dense(3)(x) + 1, "int32") + 1))
    with pytest.raises(ConversionError, match="float32 to int32"):
        kerasq.convert(model)
