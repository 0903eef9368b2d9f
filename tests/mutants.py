"""Random networks, damaged where their fields lie, in every tier of the runtime under AddressSanitizer and UBSan.

    python tests/mutants.py --count 2000000

Tiers must compute the same integers, and for a tenth of the files so must the reference engine, and Python's verifier must accept
the same. At the end a table says how often each kernel of each tier ran: the exit status is 1 if there was a finding (its file is
saved in the current folder), or if a kernel ran in fewer than one of 2,000 files. The same seed gives the same files.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from kerasq import ops
from kerasq.conformance import field_mutants, fuzz, parity, samples, sanitized
from kerasq.format import Model, dumps
from kerasq.format.model import ABSENT
from kerasq.qformat import FLOAT32, QFormat
from kerasq.verification.verifier import problems
from networks import NetworkBuilder, random_stored
from practical_operators import KINDS, PADDED, models_with_zeros, practical_model
from random_graphs import CHANNELS, random_graph
from random_operators import ACTIVATIONS, OPERATORS, random_clamp, random_format, random_model, random_zero

CHILDREN = 50  # mutants of one network, at most; with fewer files there are fewer of each
SHARE = 10  # every tenth is compared with the reference engine
RARE = 2000  # a kernel is to run in one of so many files
MAX_WORK = 1 << 17  # of a network: so many multiply-accumulates take about a millisecond in each tier


def networks(seed: int) -> Iterator[Model]:
    """Random networks without end: graphs, single operators and samples, those left out that take long."""
    chance = random.Random(seed)
    while True:
        kind, child = chance.choice("ggggoowwwffcccsppppppppppddtzzz"), chance.randrange(1 << 30)
        if kind == "g":
            model = random_graph(child)
        elif kind == "o":
            model = random_model(chance.choice(list(OPERATORS)), child)
            model = in_float(model) if chance.random() < 0.25 else model
        elif kind == "p":
            model = practical_model(chance.choice(list(KINDS)), child)
        elif kind == "d":  # has kernels of its own for every kind of window and addend
            model = practical_model("paired_convolution", child)
        elif kind == "t":
            model = practical_model("window_of_three", child)
        elif kind == "z":
            model = next(models_with_zeros(chance.choice(PADDED), child))
        elif kind == "w":
            model = narrow_sums(np.random.default_rng(child))
        elif kind == "f":
            model = floats(np.random.default_rng(child))
        elif kind == "c":
            model = shared_constants(np.random.default_rng(child))
        else:
            model = chance.choice(list(samples.SAMPLES.values()))()
        if fuzz.work(model) <= MAX_WORK:
            yield model


def in_float(model: Model) -> Model:
    """The same with FLOAT32 activations; as it is where its operator takes none."""
    tensors = tuple(t if t.is_constant else dataclasses.replace(t, format=FLOAT32) for t in model.tensors)
    floating = dataclasses.replace(model, tensors=tensors)
    operators = tuple(ops.with_widths(floating, operator.replace(clamp=None)) for operator in model.operators)
    floating = samples.place(dataclasses.replace(floating, operators=operators))
    return model if problems(floating) else floating


def narrow_sums(rng: np.random.Generator) -> Model:
    """A weighted operator whose sums fit 32 bits, whatever its types: with random weights of 16 bits hardly any do."""
    net = NetworkBuilder()
    form = QFormat.parse(str(rng.choice(("FIXED2_1", "FIXED4_3", "FIXED8_6", "FIXED16_14", "FIXED16_14", "SIGN"))))
    channels, outputs = (int(number) for number in rng.choice(CHANNELS, 2))
    x = net.activation("x", (1, *rng.integers(1, 5, 2).tolist(), channels), f"{rng.choice(ACTIVATIONS)}_6")
    kind, window = ("DENSE", ()) if rng.random() < 0.5 else ("CONV_2D", (1, int(rng.integers(1, 3))))
    shape = (outputs, int(np.prod(net.tensors[x].shape))) if kind == "DENSE" else (outputs, *window, channels)
    taps = int(np.prod(shape[1:]))
    stored = random_stored(rng, form, shape)
    if form.bits == 16:
        stored //= 2 * taps
    kernel = net.constant("kernel", stored, form)
    attributes = {} if kind == "DENSE" else {"padding": (0, 0, window[1] - 1, 0)}
    return net.build((x,), (net.apply(kind, (x, kernel, ABSENT, ABSENT), f"{rng.choice(ACTIVATIONS)}_3", **attributes),))


def shared_constants(rng: np.random.Generator) -> Model:
    """Operators that have a kernel in common and differ in all else: what a tier makes of the kernel may serve some or all."""
    net = NetworkBuilder()
    form = QFormat.parse(str(rng.choice(("FIXED2_1", "FIXED4_3", "FIXED8_6", "FIXED16_14", "SIGN", "SIGN", "FLOAT32"))))
    kind, groups, channels = "CONV_2D", 1, int(rng.choice(CHANNELS))
    shape = (int(rng.choice(CHANNELS)), 1, int(rng.integers(1, 4)), channels)
    if rng.random() < 0.3:
        groups, shape = channels, (channels, *shape[1:3], 1)
    elif rng.random() < 0.1:  # one output of many inputs: 16 lanes of it take more state than the file allows
        kind, shape = "DENSE", (1, 8000)
    kernel = net.constant("kernel", random_stored(rng, form, shape), form)
    vectors = [net.constant(f"vector{i}", random_stored(rng, QFormat.parse("FIXED8_4"), shape[:1]), "FIXED8_4") for i in range(2)]
    inputs, outputs = [], []
    for i in range(int(rng.integers(2, 6))):
        if not inputs or rng.random() < 0.7:
            source = random_format(rng, (*ACTIVATIONS, "FLOAT32"), 4, 8)
            size = (8000,) if kind == "DENSE" else (*rng.integers(1, 6, 2).tolist(), channels)
            inputs.append(net.activation(f"x{i}", (1, *size), source))
        padding = (0, 0, shape[2] - 1, 0) if kind == "CONV_2D" else (0, 0, 0, 0)
        strides = tuple(rng.integers(1, 3, 2).tolist()) if kind == "CONV_2D" else (1, 1)
        operands = (inputs[-1], kernel, *(int(vector) for vector in rng.choice([*vectors, ABSENT], 2)))
        result = random_format(rng, (*ACTIVATIONS, "FLOAT32"), -4, 8)
        attributes = {"padding": padding, "strides": strides, "groups": groups, "clamp": random_clamp(rng, result)}
        if any(padding) and not form.is_float:
            attributes["zero"] = random_zero(rng, net.tensors[inputs[-1]].format)
        outputs.append(net.apply(kind, operands, result, **attributes))
    return net.build(tuple(inputs), tuple(outputs))


def floats(rng: np.random.Generator) -> Model:
    """What is computed in float and neither summed nor rounded: a maximum, a sum, a product."""
    net = NetworkBuilder()
    shape = (1, *rng.integers(1, 5, 2).tolist(), int(rng.choice(CHANNELS)))
    x, other = (net.activation(name, shape, "FLOAT32") for name in ("x", "other"))
    pooled = net.apply("MAX_POOL_2D", (x,), "FLOAT32", window=(1, int(rng.integers(1, shape[2] + 1))), padding=(0, 0, 0, 0))
    total = net.apply("ADD", (x, other), "FLOAT32")
    return net.build((x, other), (pooled, net.apply("MUL", (total, total), "FIXED8_3")))


def mutants(count: int, seed: int) -> Iterator[bytes]:
    """`count` files: of each network itself, then of itself with changed fields and some with changed bytes."""
    chance = random.Random(seed)
    children = max(10, min(count // 1000, CHILDREN))
    made = 0
    for model in networks(seed):
        content = field_mutants.explicit(model) if chance.random() < 0.5 else dumps(model)
        where = field_mutants.places(content)
        for child in range(min(children, count - made)):
            if child == 0:
                yield content
            elif child % 16 == 0:
                yield from fuzz.mutants([content], 1, chance.randrange(1 << 30))
            else:
                yield field_mutants.mutant(content, where, chance)
        made += children
        if made >= count:
            return


def kernel_table(kernels: Counter[tuple[str, str]]) -> tuple[str, dict[tuple[str, str], int]]:
    """How often each kernel ran, as text; and the counts of those that a tier adds to the tiers before it."""
    lines, own, known = [], dict[tuple[str, str], int](), set[str]()
    for tier in dict.fromkeys(tier for tier, _ in kernels):
        names = [name for found, name in kernels if found == tier]
        own |= {(tier, name): kernels[tier, name] for name in names if name not in known}
        lines.append(f"{tier}: its own kernels, and in brackets those of the tiers before it that it took")
        for name in names:
            times = f"{kernels[tier, name]:,}"
            if name not in known or kernels[tier, name]:
                lines.append(f"  {name:32} {f'({times})' if name in known else times:>14}")
        known.update(names)
    return "\n".join(lines), own


def survey(program: Path, count: int, seed: int) -> tuple[Counter[str], Counter[tuple[str, str]]]:
    """Outcomes, and how often each kernel of each tier ran."""
    with sanitized.Runtime(program) as runtime:
        counts = parity.tally(mutants(count, seed), count, runtime, f"mutant-{seed}", SHARE)
    return counts, runtime.kernels


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python tests/mutants.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000, help="how many files (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(default: %(default)s)")
    parser.add_argument("--simde", action="store_true", help="AVX-512 against SIMDe even where the processor has it")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        try:
            program = sanitized.build(Path(folder), simde=options.simde)
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return 1
        start = time.monotonic()
        counts, kernels = survey(program, options.count, options.seed)
        seconds = time.monotonic() - start
    table, own = kernel_table(kernels)
    print(table)
    rare = sorted(f"{name} ({tier}): {times}" for (tier, name), times in own.items() if times < options.count // RARE)
    if rare:
        print(f"fewer than {options.count // RARE} times: {', '.join(rare)}")
    print(f"{options.count:,} files, seed {options.seed}, {options.count / seconds:,.0f} a second: {parity.text(counts)}")
    return int(counts["failed"] > 0 or bool(rare))


if __name__ == "__main__":
    np.seterr(all="ignore")
    sys.exit(main())
