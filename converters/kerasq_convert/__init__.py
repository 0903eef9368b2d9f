"""kerasq_convert: from a Keras model to one .kq file.

frontend      any model -> frozen TensorFlow graph -> Graph
passes        Graph -> Graph: fold, fuse, lower
observation   what values the network takes: from examples, or from a training
settings      formats as users write them, and as a conversion writes them back
formats       the format of every tensor: settings, observed ranges, the kernels' own values, the accumulator proof
emission      Graph + formats -> Model
memory        in which order operators run, and where in the arena each activation lies
repair        biases that rounding moved, channels that it silenced
search        formats by what they do to the outputs, goals, 16 bits
comparison    the network beside the float one: at the outputs, by layer, with 16 bits
report        what was done, as text, JSON and HTML
"""

from kerasq_convert.converter import Converter, convert
from kerasq_convert.errors import ConversionError, GoalsMissedError

__all__ = ["ConversionError", "Converter", "GoalsMissedError", "convert"]
