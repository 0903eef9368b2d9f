"""Generated from kerasq.fbs by flatc version 2.0.8: python -m kerasq.format.regenerate."""
