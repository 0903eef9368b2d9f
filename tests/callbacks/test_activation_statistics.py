import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasq import layers, quantizers
from kerasq.callbacks import ActivationStatistics
from kerasq.callbacks.tensorboard import BUCKETS, buckets
from kerasq.statistics import Histogram, Statistics

RNG = np.random.default_rng(1)
X = RNG.normal(size=(48, 6)).astype(np.float32)
Y = RNG.integers(0, 3, 48)


def small_model(**compile_arguments):
    keras.utils.set_random_seed(3)
    layers = [keras.Input((6,), name="x"), keras.layers.Dense(5, name="a"), keras.layers.ReLU(name="b")]
    model = keras.Sequential([*layers, keras.layers.Dropout(0.5, name="c"), keras.layers.Dense(3, name="d")])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), **compile_arguments)
    return model


def fit(model, callbacks, epochs=2, **arguments):
    return model.fit(X, Y, batch_size=8, epochs=epochs, callbacks=callbacks, verbose=0, **arguments)


def events(folder, scalars=()):
    """(step, tag, buckets) of every histogram in the event files of a folder; the numbers that are scalars."""
    result = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                assert value.metadata.plugin_data.plugin_name == ("histograms" if value.tag not in scalars else "scalars")
                result.append((event.step, value.tag, tf.make_ndarray(value.tensor)))
    return result


def kernel_range(model, name="a"):
    kernel = np.asarray(model.get_layer(name).kernel)
    return kernel.min(), kernel.max()


def assert_of_present_weights(statistics, model):
    assert (statistics["a/kernel"].min, statistics["a/kernel"].max) == kernel_range(model)
    output = np.asarray(model.get_layer("a")(X))
    np.testing.assert_allclose((statistics["a/output"].min, statistics["a/output"].max), (output.min(), output.max()), 1e-5)


def test_statistics_are_those_of_the_final_weights(tmp_path):
    model, callback = small_model(), ActivationStatistics(tmp_path / "run" / "statistics", X, batch_size=10)
    fit(model, [callback])
    assert_of_present_weights(callback.statistics, model)
    assert callback.statistics["b/output"].count == 48 * 5
    assert callback.statistics.metadata == {"model": model.name, "samples": 48, "epoch": 1}
    loaded = Statistics.load(tmp_path / "run" / "statistics")
    assert {name: h.to_dict() for name, h in loaded.items()} == {n: h.to_dict() for n, h in callback.statistics.items()}


def test_dropout_is_that_of_inference(tmp_path):
    model, callback = small_model(), ActivationStatistics(tmp_path, X)
    fit(model, [callback])
    assert callback.statistics["c/output"].to_dict() == callback.statistics["b/output"].to_dict()


def test_training_is_not_changed_by_the_callback(tmp_path):
    plain = small_model()
    fit(plain, [], shuffle=False)
    watched = small_model()  # sets the seed again
    fit(watched, [ActivationStatistics(tmp_path, X, frequency=1)], shuffle=False)
    for a, b in zip(plain.get_weights(), watched.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_histograms_for_tensorboard(tmp_path):
    model, callback = small_model(), ActivationStatistics(tmp_path, X)
    fit(model, [callback])
    written = events(tmp_path)
    names = ["x", "a/output", "b/output", "c/output", "d/output", "a/kernel", "d/kernel"]
    assert [(step, tag) for step, tag, _ in written] == [(epoch, name) for epoch in (0, 1) for name in names]
    for _, tag, rows in written:
        assert rows[:, 2].sum() == callback.statistics[tag].count


def test_what_quantizers_learn_over_time(tmp_path):
    keras.utils.set_random_seed(3)
    learned = {"kernel_quantizer": quantizers.LearnedFixedPoint(4), "bias_quantizer": quantizers.LearnedFixedPoint(8)}
    model = keras.Sequential(
        [
            keras.Input((4,), name="x"),
            layers.QuantizedDense(3, name="dense", **learned),
            layers.Quantize(quantizers.ClippedActivation(limit=2.0), name="clipped"),
            layers.QuantizedDense(2, name="plain", kernel_quantizer="ternary"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.3), "mse")
    x = np.random.default_rng(1).normal(size=(32, 4)).astype(np.float32)
    callback = ActivationStatistics(tmp_path, x)
    model.fit(x, 5 * x[:, :2], epochs=3, verbose=0, callbacks=[callback])
    thresholds = callback.positions["dense/kernel/log2_threshold"]
    assert len(set(thresholds)) == 3
    np.testing.assert_allclose(thresholds[-1], float(model.get_layer("dense").kernel_state.log2_threshold))
    assert callback.positions["dense/kernel/frac_bits"] == [3 - np.ceil(threshold) for threshold in thresholds]
    names = {"dense/kernel": "log2_threshold", "dense/bias": "log2_threshold", "clipped/output": "limit"}
    assert set(callback.positions) == {f"{tensor}/{what}" for tensor, own in names.items() for what in ("frac_bits", own)}
    scalars = {(step, tag): rows for step, tag, rows in events(tmp_path, callback.positions)}
    for tag, values in callback.positions.items():
        np.testing.assert_allclose([scalars[step, tag] for step in range(3)], values, rtol=1e-6)


@pytest.mark.parametrize("switch", ["histograms", "backend"])
def test_without_tensorboard_there_is_the_file(tmp_path, monkeypatch, switch):
    if switch == "backend":
        monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    model = small_model()
    fit(model, [ActivationStatistics(tmp_path, X, histograms=switch != "histograms")])
    assert [path.name for path in tmp_path.iterdir()] == ["activation_statistics.json"]


@pytest.mark.parametrize(("frequency", "steps_per_execution", "steps"), [(4, 1, [4, 8, 12]), (5, 1, [5, 10]), (4, 3, [6, 9, 12])])
def test_frequency_in_batches(tmp_path, frequency, steps_per_execution, steps):
    model = small_model(steps_per_execution=steps_per_execution)
    callback = ActivationStatistics(tmp_path, X, frequency=frequency)
    fit(model, [callback])  # 6 batches an epoch
    assert sorted({step for step, _, _ in events(tmp_path)}) == steps
    assert_of_present_weights(callback.statistics, model)


def test_weights_restored_when_training_ends_are_seen(tmp_path):
    model = small_model()
    stopping = keras.callbacks.EarlyStopping(monitor="loss", mode="max", patience=9, restore_best_weights=True)
    callback = ActivationStatistics(tmp_path, X)
    fit(model, [stopping, callback], epochs=4)
    assert_of_present_weights(callback.statistics, model)


def test_run_resumed_by_backup_and_restore(tmp_path):
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    def callbacks():
        return [ActivationStatistics(tmp_path / "statistics", X), keras.callbacks.BackupAndRestore(tmp_path / "backup")]

    with pytest.raises(KeyboardInterrupt):
        fit(small_model(), [*callbacks(), Interrupt()], epochs=4)
    assert Statistics.load(tmp_path / "statistics").metadata["epoch"] == 1
    model = small_model()
    fit(model, callbacks(), epochs=4)
    assert_of_present_weights(Statistics.load(tmp_path / "statistics"), model)
    assert sorted({step for step, _, _ in events(tmp_path / "statistics")}) == [0, 1, 2, 3]


def test_nothing_left_to_train(tmp_path):
    model, callback = small_model(), ActivationStatistics(tmp_path, X)
    fit(model, [callback], epochs=3, initial_epoch=3)
    assert_of_present_weights(callback.statistics, model)


def test_one_callback_for_several_models(tmp_path):
    callback = ActivationStatistics(tmp_path, X)
    for _ in range(2):
        model = small_model()
        model.get_layer("a").kernel.assign(model.get_layer("a").kernel * RNG.normal())
        fit(model, [callback], epochs=1)
        assert_of_present_weights(callback.statistics, model)


def test_an_unbuilt_model_is_refused_with_a_remedy(tmp_path):
    model = keras.Sequential([keras.layers.Dense(3)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(ValueError, match=r"keras\.Input"):
        fit(model, [ActivationStatistics(tmp_path, X)])


@pytest.mark.parametrize(
    ("folder", "data", "error", "message"),
    [
        ("file/statistics", X, OSError, "file"),
        ("statistics", X[:, :5], ValueError, r"'x'.*\(None, 6\)"),
        ("statistics", {"image": X}, ValueError, r"\['x'\].*\['image'\]"),
    ],
    ids=["folder", "shape", "name"],
)
def test_what_can_not_work_is_refused_before_training(tmp_path, folder, data, error, message):
    (tmp_path / "file").touch()
    model = small_model()
    with pytest.raises(error, match=message):
        fit(model, [ActivationStatistics(tmp_path / folder, data)])
    assert int(model.optimizer.iterations) == 0


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        return X[index * 8 : index * 8 + 8], Y[index * 8 : index * 8 + 8]


@pytest.mark.parametrize(
    ("make", "samples"),
    [
        (lambda: tf.data.Dataset.from_tensor_slices((X, Y)).batch(8), 16),
        (lambda: tf.data.Dataset.from_tensor_slices(X).batch(8), 16),
        (lambda: (X[i : i + 8] for i in range(0, 48, 8)), 16),
        (lambda: iter([X[:8]]), 8),
        (lambda: Batches(), 16),
        (lambda: [X], 48),
        (lambda: tf.constant(X), 48),
        (lambda: {"x": X}, 48),
    ],
    ids=["dataset-of-pairs", "dataset", "generator", "short-iterator", "PyDataset", "list", "tensor", "dictionary"],
)
def test_kinds_of_data(tmp_path, make, samples):
    callback = ActivationStatistics(tmp_path, make(), batches=2)
    callback.set_model(small_model())
    callback.collect()
    callback.collect()
    assert callback.statistics["x"].count == samples * 6
    assert callback.statistics["x"].max == X[:samples].max()
    assert callback.statistics.metadata["samples"] == samples


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (X[:0], "no samples"),
        (iter([]), "no samples"),
        ([], "no samples"),
        (np.float32(3), "no samples"),
        ([X, X[:5]], "same number of samples"),
        (7, "Received: data=7"),
    ],
)
def test_data_of_no_use(tmp_path, data, message):
    with pytest.raises(ValueError, match=message):
        ActivationStatistics(tmp_path, data)


@pytest.mark.parametrize(
    "arguments", [{"frequency": f} for f in ("batch", 0, -1, True, 1.5)] + [{"batch_size": 0}, {"batches": 0}]
)
def test_arguments_of_no_use(tmp_path, arguments):
    with pytest.raises(ValueError, match="Received: " + next(iter(arguments))):
        ActivationStatistics(tmp_path, X, **arguments)


def test_a_subclassed_model_that_no_one_has_built(tmp_path):
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, x):
            return self.dense(x)

    model = Subclassed()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    callback = ActivationStatistics(tmp_path, X)
    fit(model, [callback])
    assert list(callback.statistics) == ["input", f"{model.dense.name}/output", f"{model.dense.name}/kernel"]
    assert callback.statistics[f"{model.dense.name}/output"].max == pytest.approx(np.asarray(model(X)).max(), rel=1e-5)


def test_statistics_before_training(tmp_path):
    with pytest.raises(RuntimeError, match="fit"):
        _ = ActivationStatistics(tmp_path, X).statistics


def test_summary_prints_the_table(tmp_path, capsys):
    callback = ActivationStatistics(tmp_path, X)
    callback.set_model(small_model())
    callback.collect()
    callback.summary()
    printed = capsys.readouterr().out
    assert printed.rstrip("\n") == callback.to_text()
    assert "a/kernel" in printed


@pytest.mark.parametrize("values", [RNG.normal(size=5000), np.maximum(RNG.normal(size=5000), 0), [0.0, 0.0], [-3.0], [1e-9, 5.0]])
def test_buckets(values):
    values = np.asarray(values)
    histogram = Histogram()
    histogram.add(values)
    left, right, counts = buckets(histogram).T
    assert 1 <= len(counts) <= BUCKETS + 1
    assert left[0] <= values.min() <= values.max() < right[-1]
    np.testing.assert_array_equal(left[1:], right[:-1])
    expected, _ = np.histogram(values, np.append(left, right[-1]))
    np.testing.assert_array_equal(counts, expected)


def test_buckets_of_nothing():
    assert buckets(Histogram()).shape == (0, 3)
