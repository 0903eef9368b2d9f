"""Values and gradients of a function of one tensor, on the backend that Keras runs on."""

import keras
import numpy as np


def value_and_gradient(function, inputs, upstream):
    """`function(inputs)` and the gradient of `sum(function(inputs) * upstream)` with respect to `inputs`, as NumPy arrays."""
    if keras.backend.backend() == "jax":
        import jax

        outputs, pull_back = jax.vjp(function, jax.numpy.asarray(inputs))
        return np.asarray(outputs), np.asarray(pull_back(jax.numpy.asarray(upstream))[0])
    import tensorflow as tf

    x = tf.convert_to_tensor(inputs)
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = function(x)
    return outputs.numpy(), tape.gradient(outputs, x, output_gradients=tf.convert_to_tensor(upstream)).numpy()
