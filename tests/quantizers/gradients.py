"""Values and gradients of functions and layers, on the backend that Keras runs on, as NumPy arrays."""

import keras
import numpy as np


def value_and_gradient(function, inputs, upstream):
    """`function(inputs)` and the gradient of `sum(function(inputs) * upstream)` with respect to `inputs`."""
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


def layer_gradients(layer, inputs, upstream):
    """The gradients of `sum(layer(inputs) * upstream)` with respect to the trainable variables of a built layer."""
    if keras.backend.backend() == "jax":
        import jax

        def function(values):
            return layer.stateless_call(values, layer.non_trainable_variables, inputs)[0]

        _, pull_back = jax.vjp(function, [variable.value for variable in layer.trainable_variables])
        return [np.asarray(gradient) for gradient in pull_back(jax.numpy.asarray(upstream))[0]]
    import tensorflow as tf

    with tf.GradientTape() as tape:
        outputs = layer(inputs)
    variables = [variable.value for variable in layer.trainable_variables]
    return [gradient.numpy() for gradient in tape.gradient(outputs, variables, tf.convert_to_tensor(upstream))]
