"""Layers without weights that quantize activations."""
