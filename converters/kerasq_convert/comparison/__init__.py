"""A network beside the float one: at its outputs, and layer by layer."""
