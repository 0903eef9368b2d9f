"""A model is quantized, trained, saved, loaded, trained on and stripped, on the backend that KERAS_BACKEND names."""

import os
import sys

if os.environ["KERAS_BACKEND"] != "tensorflow":
    sys.modules["tensorflow"] = None  # as if it were not installed (layers of preprocessing, Rescaling, ask for it themselves)

import keras
import numpy as np

import kerasq

L = keras.layers


def main() -> None:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((8, 8, 3), name="image")
    x = L.BatchNormalization()(L.Conv2D(4, 3, padding="same", use_bias=False)(inputs))
    x = L.ReLU()(L.Add()([L.Conv2D(4, 3, padding="same", activation="swish")(x), L.ReLU()(x)]))
    model = keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling2D()(L.DepthwiseConv2D(3)(x))))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(16, 8, 8, 3)).astype("float32"), rng.normal(size=(16, 3)).astype("float32")
    for recipe in ("fixed8", "binary_weight"):
        quantized = kerasq.quantize_model(model, x, recipe)
        quantized.compile("adam", "mse")
        quantized.fit(x, y, epochs=2, verbose=0, callbacks=[kerasq.callbacks.FoldBatchNorm(1)])
        quantized.save(f"{recipe}.keras")
        loaded = keras.models.load_model(f"{recipe}.keras")
        np.testing.assert_array_equal(loaded.predict(x, verbose=0), quantized.predict(x, verbose=0))
        loaded.fit(x, y, verbose=0)
        assert [layer.name for layer in kerasq.strip(loaded).layers] == [layer.name for layer in model.layers]


if __name__ == "__main__":
    main()
