"""What a conversion did, as text, JSON and HTML."""

from kerasq_convert.report.report import Report

__all__ = ["Report"]
