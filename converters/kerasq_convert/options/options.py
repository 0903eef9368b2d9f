"""The options of a conversion. This file is the only place where an option is declared: see option.py for what one can say."""

import dataclasses
import enum
import os
import pathlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import numpy as np

from kerasq.footprint import board_or_core
from kerasq.footprint.report import parsed_size
from kerasq.qformat import QFormat
from kerasq.statistics import Statistics
from kerasq.text import shown
from kerasq_convert.errors import ConversionError
from kerasq_convert.examples.dataset import Dataset
from kerasq_convert.examples.labels import load_labels
from kerasq_convert.formats.choice import BITS, KERNEL_BITS
from kerasq_convert.formats.ranges import Criterion
from kerasq_convert.frontend import input_sizes
from kerasq_convert.options.option import Option, document, options_of, unknown_option
from kerasq_convert.options.preference import Preference
from kerasq_convert.settings.settings import Settings, nearest

Path = str | os.PathLike
AUTO = "auto"  # widths of kernels: as many bits as the limits allow
_WIDTHS = f"{', '.join(map(str, KERNEL_BITS[:-1]))} or {KERNEL_BITS[-1]}"
_AUTO_WIDTHS = f"{', '.join(map(str, KERNEL_BITS))} or {AUTO}"


def _exists(value: Any) -> None:
    if isinstance(value, Path) and not pathlib.Path(value).exists():
        raise ConversionError(os.fspath(value), ["it can't be read: there is no such file or folder"])


def _needs_examples(what: str) -> Callable[[Any, "Options"], Iterator[str]]:
    def check(value: Any, options: "Options") -> Iterator[str]:
        if value and options.representative_dataset is None:
            yield f"{what}: give `representative_dataset`"

    return check


def _statistics(value: Any, options: "Options") -> Iterator[str]:
    if value is not None and options.representative_dataset is not None:
        yield "`representative_dataset` observes the network anew, and `statistics` would not be read: give one of them"


def _one_of(name: str, members: type[enum.StrEnum]) -> Callable[[Any, "Options"], Iterator[str]]:
    def check(value: Any, _: "Options") -> Iterator[str]:
        if value not in list(members):
            hint = nearest(value, map(str, members))
            yield f"`{name}`: one of {', '.join(members)} was expected. Received: {shown(value)}{hint}"

    return check


def _prefer(value: Any, options: "Options") -> Iterator[str]:
    yield from _one_of("prefer", Preference)(value, options)
    if value == Preference.SPEED and options.representative_dataset is None:
        yield '`prefer="speed"` compares outputs: give `representative_dataset`'


def _bits(value: Any, options: "Options") -> Iterator[str]:
    if value not in BITS or isinstance(value, bool):
        yield f"`bits`: 8 or 16 was expected. Received: {shown(value)}"
    elif value != 8 and options.representative_dataset is None and options.statistics is None and options.settings is None:
        yield "`bits` is the width of what was observed: give `representative_dataset` or `statistics`"


def _kernel_bits(name: str, *, auto: bool = False) -> Callable[[Any, "Options"], Iterator[str]]:
    def check(value: Any, _: "Options") -> Iterator[str]:
        if value is not None and (value not in KERNEL_BITS or isinstance(value, bool)) and not (auto and value == AUTO):
            yield f"`{name}`: {_AUTO_WIDTHS if auto else _WIDTHS} was expected. Received: {shown(value)}"

    return check


def _weight_bits(value: Any, options: "Options") -> Iterator[str]:
    yield from _kernel_bits("weight_bits", auto=True)(value, options)
    if value == AUTO and isinstance(options.goals, Goals) and not options.goals.has_limits:
        yield (
            f"`weight_bits` {AUTO} gives tensors as many bits as limits allow: give `goals.max_model_bytes`, "
            "`goals.max_arena_bytes` or `goals.max_instructions`"
        )


def _end_weight_bits(value: Any, options: "Options") -> Iterator[str]:
    yield from _kernel_bits("end_weight_bits")(value, options)
    if value is not None and options.weight_bits in (None, AUTO):
        yield "`end_weight_bits` is for another width than that of the other kernels: give `weight_bits`, too"


def _equalize(value: Any, options: "Options") -> Iterator[str]:
    if value and options.representative_dataset is None and options.statistics is not None:
        yield "`equalize` changes ranges, and the statistics are from before: give `representative_dataset`"


def _fill_ranges(value: Any, options: "Options") -> Iterator[str]:
    if value and options.representative_dataset is None and options.statistics is None:
        yield "`fill_ranges` is by what was observed: give `representative_dataset` or `statistics`"


def _goals(value: Any, _: "Options") -> Iterator[str]:
    if not isinstance(value, Goals):
        yield f"`goals`: kerasq_convert.search.Goals(...) was expected. Received: {shown(value)}"


def _goal(name: str) -> Callable[[Any, "Options"], Iterator[str]]:
    def check(value: Any, options: "Options") -> Iterator[str]:
        if value is not None and options.representative_dataset is None:
            yield f"`goals.{name}` compares outputs: give `representative_dataset`"

    return check


def _max_accuracy_drop(value: Any, options: "Options") -> Iterator[str]:
    yield from _goal("max_accuracy_drop")(value, options)
    if value is not None and options.labels is None:
        yield "`goals.max_accuracy_drop`: give `labels`, the class of each example of the representative dataset"


def _limit(name: str) -> Callable[[Any, "Options"], Iterator[str]]:
    def check(value: Any, options: "Options") -> Iterator[str]:
        yield from _goal(name)(value, options)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            yield f"`goals.{name}`: a positive number was expected. Received: {shown(value)}"

    return check


def _max_instructions(value: Any, options: "Options") -> Iterator[str]:
    yield from _limit("max_instructions")(value, options)
    if value is not None:
        try:
            board_or_core(options.goals.target or "")
        except ValueError as error:
            told = "" if options.goals.target is None else f": {error}"
            yield f"`goals.max_instructions` are those of a board or core: give `goals.target`{told}"


def _count(text: str) -> int:
    """A number such as 5000000, 5M or 0.5M."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([kKmM]?)", text)
    if match is None:
        raise ValueError(f"a number such as 5000000 or 5M was expected. Received: {shown(text)}")
    return round(float(match[1]) * {"": 1, "k": 1_000, "m": 1_000_000}[match[2].lower()])


def _labels(value: Any, options: "Options") -> Iterator[str]:
    if value is not None and options.representative_dataset is None:
        yield "`labels` are classes of examples: give `representative_dataset`"


def _input_type(value: Any, _: "Options") -> Iterator[str]:
    if value is not None and not isinstance(value, QFormat):
        try:
            QFormat.parse(value)
        except ValueError as error:
            yield f"`input_type`: {error}; raw 8-bit pixels are UFIXED8_0"


@document
@dataclasses.dataclass(frozen=True)
class Goals:
    """What the network is to reach, and what it may take. `None`: no such goal, no such limit.

    Where the network as it is misses a goal, single buffers get 16 bits; where that is not enough, or limits are exceeded,
    kernels and buffers get the widths with the least noise at the outputs within the limits.

    Attributes:
        {options}
    """

    min_sqnr_db: Annotated[
        float | None,
        Option(
            "Signal-to-noise ratio at the outputs, in dB.",
            flag="Goal: signal-to-noise ratio at the outputs.",
            check=_goal("min_sqnr_db"),
        ),
    ] = None
    max_accuracy_drop: Annotated[
        float | None,
        Option(
            "Share of the labelled examples by which top-1 accuracy may be below the float network's: 0.01 is one percentage "
            "point.",
            flag="Goal: loss of accuracy against float, on 256 examples (0.01: one point).",
            check=_max_accuracy_drop,
        ),
    ] = None
    max_model_bytes: Annotated[
        int | None,
        Option(
            "Size of the file that is not to be exceeded.",
            flag="Limit of the file's size; 60K are 61,440 bytes.",
            read=parsed_size,
            check=_limit("max_model_bytes"),
        ),
    ] = None
    max_arena_bytes: Annotated[
        int | None,
        Option(
            "Size of the arena that is not to be exceeded.",
            flag="Limit of the arena's size.",
            read=parsed_size,
            check=_limit("max_arena_bytes"),
        ),
    ] = None
    max_instructions: Annotated[
        int | None,
        Option(
            "Instructions of an inference on `target`, as kerasq-inspect estimates them, that are not to be exceeded.",
            flag="Limit of the instructions of an inference on --target; 5M are five million.",
            read=_count,
            check=_max_instructions,
        ),
    ] = None
    target: Annotated[str | None, Option("The board or core of `max_instructions`.")] = None

    @property
    def has_limits(self) -> bool:
        """Whether there is any limit, beside goals."""
        return not (self.max_model_bytes is None and self.max_arena_bytes is None and self.max_instructions is None)

    @property
    def given(self) -> bool:
        """Whether there is any goal or limit."""
        return self != Goals()


@document
@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class Options:
    """The options of a conversion; there are no others: to set a misspelt one is an `AttributeError` that names the nearest.

    Attributes:
        {options}
    """

    representative_dataset: Annotated[
        Dataset | None,
        Option(
            "Some hundred examples of what the network will see, to choose the formats of buffers: an array `(count, ...)`, "
            "for several inputs a list or tuple of arrays in the network's order or a dict by name; the path of an `.npy` "
            "file, of an `.npz` file with an array per input, by name, or of a folder of images; or a callable (or iterable) "
            "that yields batches in any of these forms, or as `fit` takes them, as a `tf.data.Dataset` does. `None`: buffers "
            "stay FLOAT32, unless there are statistics.",
            flag="`PATH` of examples of what the network will see, some hundred: .npy, .npz, or a folder of images.",
            opened=_exists,
            is_kept=True,
        ),
    ] = None
    statistics: Annotated[
        Path | Statistics | None,
        Option(
            "What `kerasq.callbacks.ActivationStatistics` wrote: its file or its folder, or a `Statistics`.",
            flag="`FILE` or folder that kerasq.callbacks.ActivationStatistics wrote.",
            check=_statistics,
            opened=_exists,
            is_kept=True,
        ),
    ] = None
    allow_float: Annotated[
        bool,
        Option(
            "Whether buffers may stay FLOAT32 for want of a range although a dataset or statistics are given.",
            flag="Let activations stay FLOAT32 of which examples or statistics tell nothing.",
        ),
    ] = False
    criterion: Annotated[
        str,
        Option(
            'How fractional bits are chosen, tensor by tensor: `"mse"`, `"minmax"`, `"percentile"` or `"kl"`.',
            flag="How fractional bits are chosen.",
            choices=tuple(map(str, Criterion)),
            check=_one_of("criterion", Criterion),
        ),
    ] = Criterion.MSE
    bits: Annotated[
        int,
        Option(
            "Width of automatic buffers, 8 or 16.",
            flag="Width of activations, 8 or 16.",
            check=_bits,
        ),
    ] = 8
    weight_bits: Annotated[
        int | str | None,
        Option(
            f"Width of the kernels of free float weights, {_WIDTHS}, but of the first and last ones; with fewer bits than 8 each "
            "output channel has its full range, at the cost of a multiplier, unless `per_channel` is False. `None`: 8, and other "
            f'widths where `goals` are missed otherwise. `"{AUTO}"`: kernels and buffers get the widths with the least noise '
            "within the limits of `goals`, which are used up. Settings of a kernel go before it, and kernels on a grid stay as "
            "they were trained.",
            flag=f"Width of float kernels, {_WIDTHS}, but of the first and last ones; {AUTO}: as the limits allow. Default: 8.",
            read=lambda text: text if text == AUTO else int(text),
            check=_weight_bits,
        ),
    ] = None
    end_weight_bits: Annotated[
        int | None,
        Option(
            "The width of the first kernels, which no other kernel comes before, and of the last ones; `None`: that of the "
            "others, and at least 8.",
            flag="Width of the first and last kernels. Default: that of --weight_bits, and at least 8.",
            check=_end_weight_bits,
        ),
    ] = None
    per_channel: Annotated[
        bool | None,
        Option(
            "Whether kernels of free float weights use the full range of their bits in every output channel, at the cost of a "
            "multiplier; `None`: those that gain a bit by it, where ranges were observed.",
            flag="A multiplier for each output channel of float kernels. Default: where it gains a bit.",
        ),
    ] = None
    prefer: Annotated[
        str,
        Option(
            'What kernels with multipliers are made for: `"accuracy"`, their full range, or `"speed"`, weights that processors '
            "without VNNI multiply faster, as many kernels as stay within 0.1 dB at the outputs of `representative_dataset`.",
            flag="What kernels with multipliers are made for; speed: AVX2 without VNNI, within 0.1 dB at the outputs.",
            choices=tuple(map(str, Preference)),
            check=_prefer,
        ),
    ] = Preference.ACCURACY
    correct_bias: Annotated[
        bool,
        Option(
            "Whether biases of operators with such weights take back what rounding did to the mean of each channel, measured "
            "behind clamps and tables on one half of the first examples of `representative_dataset`, where the other half "
            "agrees that it helps the outputs; without a dataset nothing is corrected.",
            flag="Biases take back what rounding did to the means.",
            asked=_needs_examples("`correct_bias` compares means"),
        ),
    ] = True
    equalize: Annotated[
        bool,
        Option(
            "Whether the channels of neighbouring layers share their sizes evenly (passes/equalize.py): for networks with one "
            "format per kernel, where multipliers are unwanted. Ranges must then come from `representative_dataset`.",
            flag="Channels of neighbouring layers share their sizes.",
            check=_equalize,
        ),
    ] = False
    fill_ranges: Annotated[
        bool | None,
        Option(
            "Whether activations are scaled until they fill the ranges of their formats, whose steps are powers of two, and "
            "stored with an offset where they are negative by little: up to a bit more of each by either, by other values of "
            "kernels, biases and tables (passes/factors.py, passes/offsets.py). `None`: where ranges are known "
            "from `representative_dataset` or `statistics`, but for values and constants that the settings give a number of "
            "fractional bits, and not if a half of the first examples is better off without, or goals are missed by it. `True`: "
            "a format in the settings is then that of the scaled activation.",
            flag="Scale activations until they fill the ranges of their formats. Default: where a half of the examples agrees.",
            check=_fill_ranges,
        ),
    ] = None
    refine: Annotated[
        bool,
        Option(
            "Whether to change formats by what they do to the network's outputs for the first examples of "
            "`representative_dataset`, which is then needed.",
            flag="Try neighbouring formats on the whole network.",
            check=_needs_examples("`refine` compares outputs"),
        ),
    ] = False
    tune: Annotated[
        bool,
        Option(
            "Whether the rounding of kernels of free float weights is learned, layer by layer, so that each computes what it "
            "does in the float network, for what the quantized layers before it give: from every second one of the first 1,024 "
            "examples of `representative_dataset`, which is then needed, without labels. Where a kernel has no multipliers, its "
            "fractional bits are chosen with that. Where the other examples disagree, the network stays as it is without.",
            flag="Learn the rounding of kernels from the examples. Needs --representative_dataset.",
            check=_needs_examples("`tune` compares layers"),
        ),
    ] = False
    goals: Annotated[
        Goals,
        Option(
            "`Goals` that single buffers get 16 bits for; needs `representative_dataset` too.",
            check=_goals,
        ),
    ] = Goals()
    labels: Annotated[
        Path | np.ndarray | None,
        Option(
            "Class of each example of `representative_dataset`, in its order, for the accuracy in the report and for "
            "`Goals.max_accuracy_drop`: an array or the path of an `.npy` file.",
            flag="`FILE` (.npy) with the class of each example of the dataset: the report has the accuracy then.",
            check=_labels,
            opened=load_labels,
            is_kept=True,
        ),
    ] = None
    pareto: Annotated[
        bool,
        Option(
            "Whether the report has the trade-off of the file's size and the signal-to-noise ratio at the outputs, as widths of "
            "kernels and buffers make it, with the formats of each of its networks; needs `representative_dataset`.",
            check=_needs_examples("`pareto` compares outputs"),
        ),
    ] = False
    analyze: Annotated[
        bool,
        Option(
            "Whether the report tells each layer's error, for the first examples of `representative_dataset`, which is then "
            "needed.",
            flag="Tell the error of every layer. Needs --representative_dataset.",
            check=_needs_examples("`analyze` compares layers"),
        ),
    ] = False
    input_type: Annotated[
        str | QFormat | None,
        Option(
            'Format of the network\'s inputs, as `"UFIXED8_0"` for raw 8-bit pixels; `None`: as observed.',
            flag="`TYPE` of the network's inputs: UFIXED8_0 for raw 8-bit pixels. Default: by the examples.",
            check=_input_type,
        ),
    ] = None
    signature: Annotated[
        str | None,
        Option(
            "Name of the signature to convert, where a SavedModel has several.",
            flag="`NAME` of the signature to convert, where a SavedModel has several. Default: the serving one.",
        ),
    ] = None
    input_shape: Annotated[
        Mapping[str, Sequence[int]] | Sequence[int] | None,
        Option(
            "Sizes, without the batch, of inputs whose sizes the model leaves open: `(10200, 4)`, or by name of the input "
            '`{"signal": (10200, 4)}`.',
            flag="`SIZES` of an input whose size the model leaves open, without the batch: 10200,4 or NAME=10200,4",
            parse=input_sizes.parse,
        ),
    ] = None
    settings: Annotated[
        Path | dict | Settings | None,
        Option(
            "Formats by tensor name: the path of a YAML file, or its contents as a mapping.",
            flag="YAML `FILE` with formats by tensor name.",
            opened=_exists,
        ),
    ] = None
    prune: Annotated[
        bool,
        Option(
            "Whether channels that can't change, and operators that do nothing, are left out of the file; outputs stay the same "
            "to the bit.",
            flag="Leave out what can't change: constant channels, operators that do nothing. Outputs stay the same to the bit.",
        ),
    ] = True
    strip: Annotated[
        bool,
        Option(
            "Whether the file keeps no names but those of inputs and outputs: firmware needs no others, and tools then say at "
            "which operator a tensor is.",
            flag="Keep no names in the file but those of inputs and outputs.",
        ),
    ] = False
    verbose: Annotated[bool, Option("Whether long work shows a progress bar.")] = False

    @property
    def kernel_bits(self) -> int | None:
        """The width of kernels, where one is asked for."""
        return self.weight_bits if isinstance(self.weight_bits, int) else None

    def changed(self, **changes: Any) -> "Options":
        """The same options but for some; of a converter, these alone."""
        return Options(**{declared.name: getattr(self, declared.name) for declared in options_of(Options)} | changes)

    def __setattr__(self, name: str, value: Any) -> None:
        if not hasattr(type(self), name) and name not in vars(self) and self._is_made():
            raise unknown_option(self, name)
        super().__setattr__(name, value)

    def _is_made(self) -> bool:
        """Whether `__init__` is done: a subclass may set attributes of its own before it calls it."""
        return all(declared.name in vars(self) for declared in options_of(Options))
