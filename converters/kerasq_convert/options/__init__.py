"""The options of a conversion: each declared once, for Python and for the command line."""

from kerasq_convert.options.checks import OptionsError, check_options
from kerasq_convert.options.options import AUTO, Goals, Options

__all__ = ["AUTO", "Goals", "Options", "OptionsError", "check_options"]
