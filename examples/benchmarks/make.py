"""Makes the networks of the benchmarks: Keras models, the examples that formats are chosen with, and .kq files.

    python examples/benchmarks/make.py --output work/benchmarks
    python examples/benchmarks/make.py --output work/benchmarks --only kws --only ad

leaves NAME.keras, NAME.npy (representative examples), NAME.kq, converted as by default, and NAME.json (scores) for every network
of standins.py, and prints what conversion kept: right answers among 500 generated test examples, in float and converted (for the
autoencoder the area under the ROC curve), and how many have the answer of the float network. One to two minutes.
"""

import json
import pathlib
import sys

import keras
import numpy as np
from absl import app, flags, logging
from standins import NETWORKS, Network, score, trained

import kerasq
from kerasq.files import write_whole
from kerasq.text import table

FLAGS = flags.FLAGS


def make(name: str, network: Network, folder: pathlib.Path) -> list[str]:
    """Writes the files of a network. Returns the row of the table."""
    model, representative = trained(network), network.representative()
    model.save(folder / f"{name}.keras")
    np.save(folder / f"{name}.npy", representative)
    content = kerasq.convert(model, representative_dataset=representative)
    write_whole(folder / f"{name}.kq", content)
    scores, agreement = compared(network, model, content)
    write_whole(folder / f"{name}.json", json.dumps(scores).encode())
    return [name, network.title, *(f"{value:.1f} %" for value in scores.values()), agreement, f"{len(content):,}"]


def compared(network: Network, model: keras.Model, content: bytes) -> tuple[dict[str, float], str]:
    """Scores in float and converted, and the share of examples with the same answer (of an autoencoder the ratio to noise)."""
    examples, labels = network.test()
    wanted = model.predict(examples, verbose=0)
    outputs = kerasq.Interpreter(model_content=content).predict(examples)
    if wanted[0].size == examples[0].size:
        ratio = np.square(wanted).sum() / np.square(wanted - outputs).sum()
        agreement = f"{10 * np.log10(ratio):.1f} dB"
    else:
        agreement = f"{100 * np.mean(outputs.argmax(-1) == wanted.argmax(-1)):.1f} %"
    return {"float": score(wanted, examples, labels), "converted": score(outputs, examples, labels)}, agreement


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"networks go with --only. Received: {' '.join(argv[1:])}")
    logging.set_verbosity(logging.WARNING)
    folder = pathlib.Path(FLAGS.output)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in FLAGS.only or NETWORKS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        rows.append(make(name, NETWORKS[name], folder))
    columns = ("network", "what", "float", "converted", "same answer", "bytes")
    print(table(columns, rows, right=columns[2:]))


if __name__ == "__main__":
    flags.DEFINE_string("output", None, "Folder for the files; made if missing.", required=True)
    flags.DEFINE_multi_enum("only", None, list(NETWORKS), "Networks to make; all of them unless given.")
    app.run(main)
