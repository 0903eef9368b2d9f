"""kerasq-eval MODEL [MODEL ...]: accuracy, size and speed of networks on the same test images.

    kerasq-eval float.keras saved_model/ model.kq --data_dir ~/data

A MODEL is a .kq, .keras or .h5 file or a SavedModel folder that takes an image (32, 32, 3) with pixels 0..255 and gives ten
class scores. The images are the 10,000 test images of CIFAR-10, from --data_dir, else from the folder in the variable
KERASQ_DATA_DIR, else from Keras' download cache; with --dataset shapes the 2,000 of kerasq.datasets.shapes, which are
generated. Printed are

    top-1            share of images whose highest score is that of their class, and the standard error sqrt(p (1 - p) / n)
    model bytes      of a .kq file its size; of a float model 4 bytes for each value that it needs for inference
    arena bytes      working memory for one image; of a float model that of its conversion with FLOAT32 activations, or - where
                     it can't be converted
    footprint bytes  both together
    ms/image         wall time of inference in this process, over all images; neither loading nor the first batch's set-up counts
    agreement        share of images that get the same class as from the first model

--json prints the same as a list of objects (model, top1, stderr, images, model_bytes, arena_bytes, footprint_bytes, ms_per_image,
agreement); there top1, stderr and agreement are shares 0..1, and what is unknown is null.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from absl import flags

from kerasq.commands.arguments import CommandError, Exit, parse, run_command, wrong_usage
from kerasq.datasets import cifar10, shapes
from kerasq.evaluation import BATCH_SIZE, EvaluationError, compare, format_table, open_classifiers

NAME = "kerasq-eval"
USAGE = "usage: kerasq-eval MODEL [MODEL ...] [--dataset cifar10|shapes] [--data_dir DIR] [--limit N] [--json] ... (or --help)"
IMAGE_SHAPE = (32, 32, 3)
CLASSES = 10


def _define(options: flags.FlagValues) -> None:
    def number(kind: Callable[..., Any], name: str, default: float | None, meaning: str, **limits: int) -> None:
        kind(name, default, meaning, flag_values=options, **limits)

    flags.DEFINE_enum("dataset", "cifar10", ["cifar10", "shapes"], "Whose test images.", flag_values=options)
    flags.DEFINE_string("data_dir", None, "Folder that is or holds cifar-10-batches-py (or -bin).", flag_values=options)
    number(flags.DEFINE_integer, "limit", None, "Evaluate the first N images only.", lower_bound=1)
    number(flags.DEFINE_integer, "batch_size", BATCH_SIZE, "Images that a network gets at once.", lower_bound=1)
    number(flags.DEFINE_float, "input_scale", 1.0, "Networks get pixel * scale + offset (in their fixed-point format).")
    number(flags.DEFINE_float, "input_offset", 0.0, "See --input_scale. Inputs of integer type in TensorFlow get plain pixels.")
    number(flags.DEFINE_integer, "num_threads", None, "Threads; default: one for each processor.", lower_bound=1)
    flags.DEFINE_bool("json", False, "Print a list of JSON objects.", flag_values=options)


def _evaluate(argv: Sequence[str]) -> None:
    options, models = parse(NAME, USAGE, __doc__, _define, argv)
    if not models:
        raise wrong_usage(NAME, USAGE, "at least one model is expected")
    _tell_tensorflow(options.num_threads)
    try:
        classifiers = open_classifiers(models, IMAGE_SHAPE, CLASSES, options.num_threads)
    except EvaluationError as error:
        for problem in error.problems:
            print(f"{NAME}: {problem}", file=sys.stderr)
        raise Exit(1) from error
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


def _tell_tensorflow(num_threads: int | None) -> None:
    """Sets what TensorFlow reads when a model needs it: no chatter between our lines, and its number of threads."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if num_threads is not None:
        os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = str(num_threads)


def _test_images(dataset: str, data_dir: str | None, limit: int | None) -> tuple[np.ndarray, np.ndarray]:
    try:
        _, (images, labels) = shapes.load_data(train=0) if dataset == "shapes" else cifar10.load_data(data_dir)
    except (OSError, ValueError) as error:
        raise CommandError(" ".join(str(error).split())) from error
    return images[:limit], labels[:limit]


def main(argv: Sequence[str]) -> int:
    """The command; `argv` begins with its name. Returns the exit status."""
    return run_command(NAME, _evaluate, argv)


def run() -> None:
    """The console script."""
    sys.exit(main(sys.argv))
