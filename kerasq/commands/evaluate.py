"""kerasq-eval: accuracy, size and speed of image classifiers on the same images.

    kerasq-eval float.keras saved_model/ model.kq --data_dir ~/data

A MODEL is a .kq, .keras or .h5 file, a .tflite file (pip install 'kerasq[bench]',
it runs in LiteRT) or a SavedModel folder that takes an image of
shape (32, 32, 3) with pixels 0..255 and gives ten class scores; where it has other
outputs beside them, --output names the one with the scores. The images are
CIFAR-10's 10,000 test images: from --data_dir, else from the folder that the
variable KERASQ_DATA_DIR names, else from Keras' download cache. With
--dataset shapes they are the 2,000 of kerasq.datasets.shapes, which are generated.

For each model, the table has

    top-1            share of images whose highest score is that of their class,
                     ± its standard error sqrt(p (1 - p) / n)
    model bytes      size of a .kq or .tflite file; 4 bytes for each value that a float model
                     needs for inference
    arena bytes      working memory for one image; of a float model that of its
                     conversion with FLOAT32 activations, - where there is none
    footprint bytes  both together
    inference s      wall time of inference in this process, over all images;
                     neither loading nor the first batch's set-up counts
    ms/image         the same for one image
    agreement        share of images that get the same class as from the first model

A .kq file may take 1 GiB of memory (kerasq.Interpreter's max_bytes).

--json prints a list of objects with the keys model, top1, stderr, images,
model_bytes, arena_bytes, footprint_bytes, seconds, ms_per_image and agreement.
There top1, stderr and agreement are shares 0..1, and what is unknown is null.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from absl import flags

from kerasq.commands.arguments import Command, CommandError, UsageError
from kerasq.datasets import cifar10, shapes
from kerasq.evaluation import BATCH_SIZE, EvaluationError, compare, format_table, open_classifiers

IMAGE_SHAPE = (32, 32, 3)
CLASSES = 10


def _define(options: flags.FlagValues) -> None:
    def number(kind: Callable[..., Any], name: str, default: float | None, meaning: str, **limits: int) -> None:
        kind(name, default, meaning, flag_values=options, **limits)

    flags.DEFINE_enum("dataset", "cifar10", ["cifar10", "shapes"], "Whose test images.", flag_values=options)
    folder = "`FOLDER` that is or holds cifar-10-batches-py (or -bin)."
    flags.DEFINE_string("data_dir", None, folder, flag_values=options)
    number(flags.DEFINE_integer, "limit", None, "Evaluate the first `N` images only.", lower_bound=1)
    number(flags.DEFINE_integer, "batch_size", BATCH_SIZE, "A network gets `N` images at once.", lower_bound=1)
    scaled = "Networks get pixel * `SCALE` + OFFSET, but plain pixels where they take integers in TensorFlow."
    number(flags.DEFINE_float, "input_scale", 1.0, scaled)
    number(flags.DEFINE_float, "input_offset", 0.0, "The `OFFSET` of --input_scale.")
    number(flags.DEFINE_integer, "num_threads", None, "Use `N` threads, not one for each processor.", lower_bound=1)
    scores = "`NAME`, or number from 0, of the output with the class scores, where models have several."
    flags.DEFINE_string("output", None, scores, flag_values=options)
    flags.DEFINE_bool("json", False, "Print a list of JSON objects.", flag_values=options)


def _evaluate(options: flags.FlagValues, models: list[str]) -> None:
    if not models:
        raise UsageError("at least one model is expected")
    if options.data_dir and options.dataset == "shapes":
        raise UsageError("--data_dir is for --dataset cifar10: the images of shapes are generated")
    if options.num_threads is not None:  # TensorFlow reads these when a model needs it
        os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = str(options.num_threads)
    try:
        classifiers = open_classifiers(models, IMAGE_SHAPE, CLASSES, options.num_threads, options.output)
    except EvaluationError as error:
        raise CommandError(*error.problems) from error
    images, labels = _test_images(options.dataset, options.data_dir, options.limit)
    results = compare(
        classifiers,
        images,
        labels,
        batch_size=options.batch_size,
        input_scale=options.input_scale,
        input_offset=options.input_offset,
    )
    if options.json:
        print(json.dumps([result.as_dict() for result in results], indent=2))
    else:
        print(f"{format_table(results)}\n{len(images):,} test images of {options.dataset}")


def _test_images(dataset: str, data_dir: str | None, limit: int | None) -> tuple[np.ndarray, np.ndarray]:
    try:
        _, (images, labels) = shapes.load_data(train=0) if dataset == "shapes" else cifar10.load_data(data_dir)
    except (OSError, ValueError) as error:
        raise CommandError(" ".join(str(error).split())) from error
    return images[:limit], labels[:limit]


COMMAND = Command(
    "kerasq-eval",
    "MODEL [MODEL ...] [--dataset cifar10|shapes] [--json] ...",
    __doc__,
    _define,
    _evaluate,
    tensorflow=True,
)
main, run = COMMAND.main, COMMAND.run
