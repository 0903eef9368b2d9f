"""From a graph and the formats of its tensors to a Model."""
