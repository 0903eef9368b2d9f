"""Layers that stand for the core layers of `keras.layers`."""
