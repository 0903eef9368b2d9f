"""Formats by what they do to the outputs of the whole network, until goals are met."""

from kerasq_convert.options import Goals

__all__ = ["Goals"]
