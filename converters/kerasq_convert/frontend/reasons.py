"""Why something can't be converted, and what to do instead: by Keras class where that is known, else by TensorFlow operation.

Each text is `what it does is not supported: remedy`. Classes are only looked up where something of theirs is refused, so a class
here whose networks begin to convert does no harm.
"""

from __future__ import annotations

import re

from kerasq_convert.frontend.foldable import is_random
from kerasq_convert.frontend.loops import MAX_ROUNDS

GENERAL_REMEDY = "compute it outside of the network, or by layers that convert (the README lists them)"

_RANDOM = (
    "it draws random numbers, as augmentation does in training, and model.export writes it so: convert the model itself or its "
    ".keras file, where layers that do nothing in inference are left out, or export without it"
)
_LOOP = (
    f"a loop over more than {MAX_ROUNDS} time steps, over as many as the input says, or with a mask, is not supported: make it a "
    f"fixed number, at most {MAX_ROUNDS}, without a mask (Masking, mask_zero), or use Conv1D, dilated for a longer memory"
)
_ATTENTION = "a product of activations is not supported: use convolutions, or Multiply with one value per channel"
_OWN_STATISTICS = (
    "this normalization (of more than 1,048,576 values at once, over the batch, or by another norm than the root of a mean or "
    "sum of squares) is not supported: normalize over the channels, or use BatchNormalization"
)
_LOOK_UP = "this look-up is not supported: do it before the network, which then reads vectors"
_PICKING = "picking values by their numbers is not supported, but for neighbours (x[:, 2:5]): do it before or after the network"
_CATEGORIES = "making categories or words into numbers is not supported: do it before the network, which then reads the numbers"
_ADAPTIVE = (
    "pooling to a fixed size by windows that differ is not supported: use AveragePooling or MaxPooling with a pool_size that "
    "divides the size, or global pooling"
)
_VOLUME = "volumes are not supported: use layers for images, with slices as channels or as examples"
_SPECTROGRAM = "a spectrogram is not supported: compute it before the network, which then reads it as an image"
_COMPARISON = "it compares, selects or divides two activations, which is not supported: use Add, Multiply or Concatenate"
_RESIZING = (
    "this resizing is not supported: use UpSampling2D or Resizing, nearest or bilinear, by whole factors, or do it before the "
    "network"
)
_MASK = "a mask of time steps is not supported: cut or zero the steps before the network"
_PICTURE = "correcting a picture by its own values is not supported: do it before the network"
_REDUCTION = (
    "this reduction, or one over the batch, is not supported: use a mean, sum, maximum or minimum over other axes than the batch"
)
_ORDER = "putting values in order is not supported: do it with the network's outputs, in the code that reads them"
_BRANCH = "a choice between branches is not supported: export one of them"
_FOURIER = "a Fourier transform is not supported: compute it before the network"
_ALGEBRA = "linear algebra with activations is not supported: do it outside of the network"
_WORDS = "words are not supported: make them numbers before the network"

_BY_CLASS: dict[str, str] = (
    dict.fromkeys(("LSTM", "GRU", "SimpleRNN", "RNN", "LSTMCell", "GRUCell", "SimpleRNNCell", "StackedRNNCells"), _LOOP)
    | dict.fromkeys(("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "Bidirectional"), _LOOP)
    | dict.fromkeys(("Attention", "AdditiveAttention", "MultiHeadAttention", "GroupedQueryAttention", "Dot"), _ATTENTION)
    | dict.fromkeys(("LayerNormalization", "GroupNormalization", "RMSNormalization", "UnitNormalization"), _OWN_STATISTICS)
    | dict.fromkeys(("Embedding", "ReversibleEmbedding"), _LOOK_UP)
    | dict.fromkeys(("CategoryEncoding", "Discretization", "Hashing", "HashedCrossing", "IntegerLookup"), _CATEGORIES)
    | dict.fromkeys(("StringLookup", "TextVectorization"), _WORDS)
    | {f"Adaptive{kind}Pooling{n}D": _ADAPTIVE for kind in ("Average", "Max") for n in (1, 2)}
    | {f"Adaptive{kind}Pooling3D": _VOLUME for kind in ("Average", "Max")}
    | dict.fromkeys(("Conv3D", "Conv3DTranspose", "AveragePooling3D", "MaxPooling3D", "UpSampling3D"), _VOLUME)
    | dict.fromkeys(("Cropping3D", "ZeroPadding3D", "GlobalAveragePooling3D", "GlobalMaxPooling3D"), _VOLUME)
    | dict.fromkeys(("MelSpectrogram", "STFTSpectrogram"), _SPECTROGRAM)
    | dict.fromkeys(("AutoContrast", "Equalization", "ContrastLimitedAdaptiveHistogramEqualization"), _PICTURE)
    | {
        "Masking": _MASK,
        "EinsumDense": "a product along other axes than the last is not supported: use Dense, between Permute where needed",
        "Softmax": "Softmax over several axes is not supported: Reshape them into one before it",
    }
)

# Operations that tell what a layer of many operations is; the first that a layer has decides.
_TELLING: dict[str, str] = {
    "Enter|Exit|LoopCond|NextIteration|While|StatelessWhile|TensorList.*": _LOOP,
    "Switch|Merge|If|StatelessIf|Case|StatelessCase": _BRANCH,
    ".*FFT.*|ComplexAbs|Complex|Real|Imag|Angle|Conj": _FOURIER,
    "Cholesky|MatrixInverse|(Log)?MatrixDeterminant|Matrix(Triangular)?Solve.*|Qr|Svd|SelfAdjointEigV2|Eig|Lu": _ALGEBRA,
    "Einsum|BatchMatMul(V2|V3)?": _ATTENTION,
    "SquaredDifference|Rsqrt": (
        "a root of an example's own statistics is not supported but where it normalizes what they are of: use "
        "LayerNormalization, GroupNormalization or RMSNormalization, or BatchNormalization"
    ),
    "ReverseV2|ImageProjectiveTransformV3": "moving pixels is not supported: do it before the network",
    "TopKV2|Sort|UniqueV2|Unique|Where|LowerBound|UpperBound|InTopKV2|Bincount|DenseBincount|NthElement": _ORDER,
    "LookupTable.*|HashTable.*|String.*|AsString|SparseCross.*|Regex.*|StaticRegex.*": _WORDS,
    "Bucketize|OneHot": _CATEGORIES,
    "GatherV2|GatherNd|ResourceGather|Gather": _PICKING,
    "Resize(Bilinear|Bicubic|NearestNeighbor|Area)|ScaleAndTranslate|CropAndResize": _RESIZING,
    "Conv3D.*|MaxPool3D|AvgPool3D": _VOLUME,
    "RGBToHSV|HSVToRGB|AdjustContrastv2|AdjustHue|AdjustSaturation": _PICTURE,
    "LRN": "normalization over neighbouring channels is not supported: use BatchNormalization or GroupNormalization",
    "ExtractImagePatches": "taking patches out of an image is not supported: use a convolution whose strides are its kernel_size",
    "LogSoftmax": "operation LogSoftmax is not supported: leave the logarithm to the code that reads the outputs",
    "Split|SplitV": "splitting channels is not supported: use two layers and Multiply",
    "Unpack|Pack": "taking a sequence apart or together, step by step, is not supported: use Conv1D",
    "Roll": "moving values around the edge is not supported: use ZeroPadding and Cropping",
    "Cumsum|Cumprod|CumulativeLogsumexp": "running sums are not supported: use a convolution with constant weights",
    "Sum|Prod|Min|Max|Mean|All|Any|EuclideanNorm": _REDUCTION,
    "NotEqual|Equal": f"{_COMPARISON} (Masking: cut or zero the steps before the network)",
    "FloorMod|FloorDiv|TruncateMod|Bitwise.*|LeftShift|RightShift|Invert|PopulationCount": (
        "arithmetic of whole numbers is not supported: do it outside of the network"
    ),
    "Pointwise": _COMPARISON,
}


# Layers of words and tables, whose operations no SavedModel may bring along (trust.py): refused before there is one.
OF_WORDS = ("StringLookup", "TextVectorization", "IntegerLookup", "Hashing", "HashedCrossing")


def reason_by_class(kind: str) -> str | None:
    """The reason that a class has by itself."""
    return _BY_CLASS.get(kind)


def reasons_by_class() -> dict[str, str]:
    """Every class that has a reason by itself, with that: for a page that lists them."""
    return dict(_BY_CLASS)


def reason_by_operations(kinds: list[str]) -> str | None:
    """What the types of a layer's refused operations tell together; `None` where they tell nothing."""
    if any(map(is_random, kinds)):
        return _RANDOM
    return next((reason for telling, reason in _TELLING.items() if any(re.fullmatch(telling, kind) for kind in kinds)), None)


def reason_of_quantization(mode: str) -> str:
    """Why what `model.quantize(mode)` made is refused."""
    return (
        f"model.quantize({mode!r}) left it a product whose scales depend on each input, which is not supported: convert the "
        "float model, before quantize; kerasq quantizes it itself"
    )
