"""Layers that stand for those of `keras.layers` with a convolution kernel."""
