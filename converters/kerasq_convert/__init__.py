"""kerasq_convert: from a Keras model to one .kq file.

front end   any model -> frozen TensorFlow graph -> Graph         (frontend/)
passes      Graph -> Graph: fold, fuse, lower                      (passes/)
formats     settings, observed ranges, the kernels' own values     (settings, calibration, ranges, formats)
emit        Graph + formats -> Model, with the accumulator proof   (emit)
memory      where in the arena each activation lies                (memory)
analysis    where accuracy is lost, what 16 bits would do          (analysis, promotion, analysis_text)
report      what was done, as text, JSON and HTML                  (report, figures, html_report, html_figures)
"""

from kerasq_convert.converter import Converter, convert
from kerasq_convert.errors import ConversionError, GoalsMissedError

__all__ = ["ConversionError", "Converter", "GoalsMissedError", "convert"]
