"""Formats by tensor name, as users write them and as a conversion writes them back."""

from kerasq_convert.settings.settings import Settings

__all__ = ["Settings"]
