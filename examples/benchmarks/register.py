"""What README claims: its tables of results, and the figures in its prose, each with the measurement that gives it."""

from __future__ import annotations

from claims import (
    Column,
    Sentence,
    Table,
    exactly,
    no_other_machine,
    points,
    share,
    trained_anew,
)

COMPILED = share(0.03)  # what another compiler, or a network trained anew, changes in code and instructions
TIMED = share(0.2)  # a median of ratios on a machine that does other things, too
COMPUTED = points(0.1)  # float32 on other processors: a few images of 10,000
CONVERTED = points(0.5)  # where that decides a format otherwise

# Rows of chip.py, which has the networks in the same order; those of CIFAR-10 are what `files` measures.
CHIP = Table(
    title="Cortex-M4",
    first="network",
    rows=(
        ("resnet8", r"ResNet-8, ([\d.]+) million MACs"),
        ("vww", r"visual wake words, MobileNet 0\.25 at 96x96, ([\d.]+) million"),
        ("kws", r"keyword spotting, DS-CNN, ([\d.]+) million"),
        ("ad", r"anomaly detection, ten Dense, ([\d.]+) million"),
        ("sww", r"streaming wake word, 1-D DS-CNN, ([\d.]+) million"),
        ("resnet23", r"ResNet23, ([\d.]+) million"),
        ("resnet23_binary", r"ResNet23, binary weights"),
    ),
    columns=(
        Column("accuracy in float, converted %", ("float", "converted"), trained_anew),
        Column("flash", ("flash",), COMPILED),
        Column("RAM", ("ram",), COMPILED),
        Column("million instructions", ("instructions",), COMPILED),
        Column("a MAC", ("instructions_per_mac",), COMPILED),
        Column("cycles a MAC, model", ("cycles_per_mac",), COMPILED),
        Column("MLPerf Tiny, silicon", ("published",), exactly),
    ),
    source=lambda row, key: ("chip", f"{row}.{key}"),
)

# Measurement and model of every row.
CIFAR10_ROWS = {
    "resnet23_keras": "resnet23_keras",
    "resnet23_parameters": "files",
    "resnet23": "files",
    "resnet23_binary_keras": "binary_keras",
    "resnet23_binary_parameters": "files",
    "resnet23_binary": "files",
    "mobilenet_keras": "mobilenet_keras",
    "mobilenet": "files",
    "resnet8_keras": "resnet8",
    "resnet8": "resnet8",
}
CIFAR10 = Table(
    title="CIFAR-10",
    first="network",
    rows=(
        ("resnet23_keras", "ResNet23, Keras"),
        ("resnet23_parameters", "parameters FIXED8"),
        ("resnet23", "converted, 8-bit throughout"),
        ("resnet23_binary_keras", "ResNet23 with binary weights, Keras"),
        ("resnet23_binary_parameters", "parameters SIGN"),
        ("resnet23_binary", "converted, parameters SIGN, buffers 8-bit"),
        ("mobilenet_keras", "MobileNet, Keras"),
        ("mobilenet", "converted, 8-bit throughout"),
        ("resnet8_keras", "MLPerf Tiny ResNet-8, Keras"),
        ("resnet8", "converted, 8-bit throughout"),
    ),
    columns=(
        Column("top-1 %", ("top1", "stderr"), COMPUTED),
        Column("model bytes", ("model_bytes",), exactly),
        Column("arena bytes", ("arena_bytes",), exactly),
        Column("footprint", ("footprint_bytes",), exactly),
    ),
    source=lambda row, key: (CIFAR10_ROWS[row], f"{row}.{key}"),
)

DESKTOP = Table(
    title="Beside LiteRT",
    first="converted as by default",
    rows=(
        ("resnet23", r"ResNet23 FIXED8, ([\d.]+) million MACs"),
        ("resnet23_binary", "ResNet23 with binary weights"),
        ("resnet8", r"ResNet-8, ([\d.]+) million"),
        ("vww", r"visual wake words, MobileNet 0\.25 at 96x96"),
        ("kws", "keyword spotting, DS-CNN"),
        ("sww", "streaming wake word, 1-D DS-CNN"),
        ("ad", "anomaly detection, ten Dense, batch 1"),
    ),
    columns=(
        Column("AVX-512 VNNI", ("avx512.ms",), no_other_machine),
        Column("LiteRT", ("avx512.peer_ms",), no_other_machine),
        Column("ratio", ("avx512.ratio",), TIMED),
        Column("AVX2", ("avx2.ms",), no_other_machine),
        Column("LiteRT", ("avx2.peer_ms",), no_other_machine),
        Column("ratio", ("avx2.ratio",), TIMED),
    ),
    source=lambda row, key: ("desktop_avx2" if key.startswith("avx2") else "desktop", f"{row}.{key.rpartition('.')[2]}"),
)

TABLES = (CHIP, CIFAR10, DESKTOP)

SENTENCES = (
    Sentence("the example learns", r"learns to name (\d+) % of generated images", "example", ("converted",), points(2)),
    Sentence(
        "uneven channels",
        r"keeps ([\d.]+) of its ([\d.]+) % on CIFAR-10, where one min-max format per tensor leaves ([\d.]+)\.",
        "uneven",
        ("converted", "float", "minmax"),
        CONVERTED,
    ),
    Sentence("4 bits, tuned", r"ResNet23 keeps ([\d.]+) of ([\d.]+) % in", "tuned", ("converted", "float"), CONVERTED),
    Sentence("4 bits, tuned: bytes", r"% in ([\d,]+) bytes\. `--max_model_bytes", "tuned", ("bytes",), share(0.01)),
    Sentence("light install", r"runs models and nothing else, in (\d+) MB beside NumPy", "light", ("megabytes",), exactly, True),
    Sentence(
        "Keras beside the file", r"unit in the last place away \(([\d.]+) % or less", "agreement", ("percent",), exactly, True
    ),
    Sentence(
        "10,000 images, seconds",
        r"through ResNet23 take ([\d.]+) s on two such processors, [\d.]+ s with AVX2; LiteRT ([\d.]+) and",
        "images",
        ("seconds", "peer_seconds"),
        no_other_machine,
    ),
    Sentence(
        "10,000 images with AVX2, seconds",
        r"on two such processors, ([\d.]+) s with AVX2; LiteRT [\d.]+ and ([\d.]+)",
        "images_avx2",
        ("seconds", "peer_seconds"),
        no_other_machine,
    ),
    Sentence(
        "code of ResNet23 at -Os, KB",
        r"with the kernels of ResNet23 is ([\d.]+) to ([\d.]+) KB of code at `-Os`",
        "firmware",
        ("resnet23.code", "resnet23_binary.code"),
        COMPILED,
    ),
)
