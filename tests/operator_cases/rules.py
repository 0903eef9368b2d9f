"""Rules that the cases of several kinds break."""

from kerasq.qformat import QFormat

OUTPUT = "layer/output"

# Of every operator with a window, as changes of its attributes and what the problem says.
WINDOW_RULES = [
    ({"strides": (0, 1)}, "strides must be at least 1"),
    ({"strides": (1, -1)}, "strides must be at least 1"),
    ({"padding": (3, 0, 0, 0)}, "padding must be smaller"),
    ({"padding": (0, 3, 0, 0)}, "padding must be smaller"),
    ({"padding": (0, 0, 2, 0)}, "padding must be smaller"),
    ({"padding": (0, 0, 0, 2)}, "padding must be smaller"),
    ({"padding": (-1, 0, 0, 0)}, "padding must be smaller"),
    ({"padding": (1, 1, 1, 0)}, "output must have shape"),
    ({"strides": (1, 2)}, "output must have shape"),
]


def q(text: str) -> QFormat:
    return QFormat.parse(text)
