"""Makes keras2_trained.zip: a network of Keras 2, saved after training, as SavedModel and as HDF5.

    python -m venv old && old/bin/pip install tensorflow-cpu==2.15.1 && old/bin/python make_keras2_trained.py

Today's TensorFlow can't load that SavedModel as objects: it holds the slots of an optimizer that is no more.
"""

import pathlib
import zipfile

import numpy as np
import tensorflow as tf

NAME = "keras2_trained"
LEFT_OUT = ("keras_metadata.pb", "fingerprint.pb")  # nothing reads them


def network() -> tf.keras.Model:
    layers = tf.keras.layers
    return tf.keras.Sequential(
        [
            tf.keras.Input((12, 12, 3), name="pixels"),
            layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False, name="stem"),
            layers.BatchNormalization(name="stem_bn"),
            layers.ReLU(6.0, name="stem_relu"),
            layers.DepthwiseConv2D(3, padding="same", name="depthwise"),
            layers.BatchNormalization(name="depthwise_bn"),
            layers.ReLU(name="depthwise_relu"),
            layers.GlobalAveragePooling2D(name="pool"),
            layers.Dense(4, activation="softmax", name="classes"),
        ],
        name="old_net",
    )


def main() -> None:
    tf.keras.utils.set_random_seed(7)
    rng = np.random.default_rng(7)
    model = network()
    model.compile(tf.keras.optimizers.legacy.Adam(), "sparse_categorical_crossentropy")
    images = rng.uniform(0, 1, (32, 12, 12, 3)).astype("float32")
    model.fit(images, rng.integers(0, 4, 32), epochs=2, verbose=0)
    model.save(NAME)
    model.save(f"{NAME}.h5")
    np.savez(f"{NAME}_expected.npz", x=images[:4], y=model.predict(images[:4], verbose=0))
    with zipfile.ZipFile(f"{NAME}.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(pathlib.Path(NAME).rglob("*")):
            if path.is_file() and path.name not in LEFT_OUT:
                archive.write(path)
        archive.write(f"{NAME}.h5")
        archive.write(f"{NAME}_expected.npz")


if __name__ == "__main__":
    main()
