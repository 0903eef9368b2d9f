import hashlib

import numpy as np
import pytest

from kerasq.datasets import shapes

DIGEST = "1ac925632313b5dc02c0cba47cb5a41adb2009fa9d7aadee1551693c1ef48d0f"


@pytest.fixture(scope="module")
def data():
    return shapes.load_data(2000, 1000, seed=3)


def linear_accuracy(train, test):
    """Accuracy of ridge regression on standardized features with the best of several penalties."""
    (x, y), (x_test, y_test) = train, test
    mean, std = x.mean(axis=0), x.std(axis=0) + 1e-6
    x, x_test = (x - mean) / std, (x_test - mean) / std
    gram = x @ x.T
    accuracies = []
    for penalty in (1.0, 1e2, 1e4):
        coefficients = np.linalg.solve(gram + penalty * np.eye(len(x)), np.eye(10)[y] - 0.1)
        accuracies.append(np.mean(np.argmax(x_test @ (x.T @ coefficients), axis=1) == y_test))
    return max(accuracies)


def test_layout(data):
    for (images, labels), count in zip(data, (2000, 1000), strict=True):
        assert (images.shape, images.dtype) == ((count, 32, 32, 3), np.uint8)
        assert (labels.shape, labels.dtype) == ((count,), np.int64)
        assert np.bincount(labels).tolist() == [count // 10] * 10
    assert len(shapes.CLASSES) == len(set(shapes.CLASSES)) == 10


def test_classes_are_as_even_as_they_can_be():
    (_, labels), _ = shapes.load_data(23, 0)
    assert sorted(np.bincount(labels, minlength=10)) == [2] * 7 + [3] * 3


def test_same_seed_same_bytes():
    digest = hashlib.sha256()
    for images, labels in shapes.load_data(60, 20, seed=7):
        digest.update(images.tobytes() + labels.astype("<i8").tobytes())
    assert digest.hexdigest() == DIGEST


def test_seeds_and_splits_differ():
    (first, _), (first_test, _) = shapes.load_data(10, 10, seed=1)
    (second, _), _ = shapes.load_data(10, 0, seed=2)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, first_test)


def test_test_images_do_not_depend_on_the_number_of_training_images():
    _, few = shapes.load_data(5, 30)
    _, many = shapes.load_data(20, 30)
    for a, b in zip(few, many, strict=True):
        np.testing.assert_array_equal(a, b)


def test_every_image_is_its_own(data):
    (images, _), (test_images, _) = data
    assert len({image.tobytes() for image in (*images, *test_images)}) == 3000


def test_pixels_do_not_tell_the_class_linearly(data):
    train, test = (((images / 255).reshape(len(images), -1), labels) for images, labels in data)
    assert linear_accuracy(train, test) < 0.3


def test_colour_and_brightness_do_not_tell_the_class(data):
    def features(images):
        values = images.reshape(len(images), -1, 3) / 255
        levels = np.percentile(values, [1, 5, 25, 50, 75, 95, 99], axis=1).transpose(1, 0, 2).reshape(len(images), -1)
        means = np.concatenate([values.mean(axis=1), values.std(axis=1), levels], axis=1)
        return np.concatenate([means, means**2, np.outer(means.mean(axis=1), np.ones(6)) * means[:, :6]], axis=1)

    train, test = ((features(images), labels) for images, labels in data)
    assert linear_accuracy(train, test) < 0.2


@pytest.mark.parametrize("name", shapes.CLASSES)
def test_all_shapes_have_areas_of_the_same_distribution(name):
    labels = np.full(200, shapes.CLASSES.index(name))
    axis = np.arange(32, dtype=np.float32)
    distance = shapes._distances(labels, axis[None, None, :], axis[None, :, None], np.random.default_rng(1))
    areas = (distance < 0).sum(axis=(1, 2))
    assert areas.mean() == pytest.approx((shapes.MIN_AREA + shapes.MAX_AREA) / 2, rel=0.06)


@pytest.mark.parametrize("arguments", [{"train": -1}, {"test": -1}, {"seed": -1}])
def test_arguments_of_no_use(arguments):
    name, value = next(iter(arguments.items()))
    with pytest.raises(ValueError, match=f"Received: {name}={value}"):
        shapes.load_data(**arguments)
