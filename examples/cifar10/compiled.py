"""Training on JAX with whole epochs compiled: one `jax.lax.scan` over the steps, augmentation and optimizer included.

`fit` trains any compiled Keras model, a `kerasq.training.Distilled` one, too, by its own `compute_loss` and optimizer. Nothing
leaves the device within an epoch: images stay there, and no step waits for Python.
"""

import pathlib
import zipfile
from collections.abc import Callable

import jax
import jax.numpy as jnp
import keras
import numpy as np

MEAN_PIXEL = 110.0  # what a hole is filled with


def fit(
    model: keras.Model,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    epochs: int,
    batch_size: int,
    seed: int = 1,
    hole: int = 0,
    checkpoint: pathlib.Path | None = None,
    on_epoch_end: Callable[[int, float], None] = lambda epoch, loss: None,
) -> None:
    """Trains `model`, from `checkpoint` on where that file is there; the result is then, bit for bit, that without a stop.

    Args:
        model: Compiled. Its variables hold the values at the end of each epoch when `on_epoch_end(epoch, loss)` is called.
        images: `(count, height, width, channels)`; shifted by up to 4 pixels and mirrored at random.
        labels: `(count,)`.
        epochs: Passes over the images; those that a batch isn't filled with are left out of an epoch.
        batch_size: Images per step.
        seed: Of order and augmentation, which follow from it and the number of the epoch alone.
        hole: Side of the square that is cut out of each image at random; 0 for none.
        checkpoint: An .npz file, written whole after each epoch.
    """
    model.optimizer.build(model.trainable_variables)
    groups = (model.trainable_variables, model.non_trainable_variables, model.optimizer.variables)
    done = _restore(checkpoint, groups) if checkpoint and checkpoint.exists() else 0
    padded = jnp.asarray(np.pad(images, ((0, 0), (4, 4), (4, 4), (0, 0))))
    targets = jnp.asarray(labels)
    steps = len(images) // batch_size
    size = images.shape[1:]

    def augment(key, rows):
        shift, mirror, centre = jax.random.split(key, 3)
        offsets = jax.random.randint(shift, (batch_size, 2), 0, 9)
        x = jax.vmap(lambda row, offset: jax.lax.dynamic_slice(padded[row], (*offset, 0), size))(rows, offsets)
        x = jnp.where(jax.random.bernoulli(mirror, 0.5, (batch_size, 1, 1, 1)), x[:, :, ::-1], x).astype("float32")
        return _with_hole(x, centre, hole) if hole else x

    def loss_of(trainable, others, x, y):
        mapping = [*zip(groups[0], trainable, strict=True), *zip(groups[1], others, strict=True)]
        with keras.StatelessScope(state_mapping=mapping, collect_losses=True) as scope:
            loss = model.compute_loss(x, y, model(x, training=True), None, training=True)
        after = [scope.get_current_value(variable) for variable in groups[1]]
        return loss, [old if new is None else new for old, new in zip(others, after, strict=True)]

    gradient = jax.value_and_grad(loss_of, has_aux=True)

    def step(state, inputs):
        trainable, others, optimizer = state
        rows, key = inputs
        (loss, others), gradients = gradient(trainable, others, augment(key, rows), targets[rows])
        trainable, optimizer = model.optimizer.stateless_apply(optimizer, gradients, trainable)
        return (trainable, others, optimizer), loss

    @jax.jit
    def epoch_of(state, key):
        order, draws = jax.random.split(key)
        rows = jax.random.permutation(order, len(images))[: steps * batch_size].reshape(steps, batch_size)
        return jax.lax.scan(step, state, (rows, jax.random.split(draws, steps)))

    for epoch in range(done, epochs):
        state = tuple([variable.value for variable in group] for group in groups)
        state, losses = epoch_of(state, jax.random.fold_in(jax.random.PRNGKey(seed), epoch))
        for group, values in zip(groups, state, strict=True):
            _assign(group, values)
        if checkpoint:
            _store(checkpoint, groups, epoch + 1)
        on_epoch_end(epoch, float(losses.mean()))


def _with_hole(x: jax.Array, key: jax.Array, side: int) -> jax.Array:
    """Cutout (DeVries and Taylor, arXiv:1708.04552): a square around a random pixel takes the mean colour."""
    centre = jax.random.randint(key, (len(x), 2), 0, jnp.asarray(x.shape[1:3]))
    rows, columns = (jnp.abs(jnp.arange(x.shape[i + 1]) - centre[:, i, None]) < side // 2 for i in range(2))
    return jnp.where((rows[:, :, None] & columns[:, None, :])[..., None], MEAN_PIXEL, x)


def _store(path: pathlib.Path, groups, epochs: int) -> None:
    """The state after so many epochs, whole or not at all."""
    part = path.with_suffix(".part.npz")
    values = {f"{i}.{j}": np.asarray(variable.value) for i, group in enumerate(groups) for j, variable in enumerate(group)}
    np.savez(part, epochs=epochs, **values)
    part.replace(path)


def _assign(variables, values) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _restore(path: pathlib.Path, groups) -> int:
    """Gives the variables the values of a checkpoint; the number of epochs after which they were stored."""
    try:
        with np.load(path) as stored:
            values = [[stored[f"{i}.{j}"] for j in range(len(group))] for i, group in enumerate(groups)]
            epochs = int(stored["epochs"])
        for group, arrays in zip(groups, values, strict=True):
            _assign(group, arrays)
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise SystemExit(f"{path} is no checkpoint of this network: remove it to start again ({error})") from error
    return epochs
