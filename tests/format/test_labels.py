"""Labels of a network: what an argmax gives, and what only moves that or stores it otherwise."""

from kerasq.format.labels import labels_of
from networks import NetworkBuilder


def test_labels_are_followed_through_what_leaves_values_alone():
    net = NetworkBuilder()
    x = net.activation("x", (1, 3, 4), "FIXED8_4")
    labels = net.apply("ARGMAX", (x,), "UFIXED8_0")
    flat = net.apply("RESHAPE", (labels,), "UFIXED8_0", shape=(1, 1, 3, 1))
    moved = net.apply("TRANSPOSE", (flat,), "UFIXED8_0", window=(1, 3), groups=1)
    wide = net.apply("QUANTIZE", (moved,), "FIXED16_4")
    total = net.apply("ADD", (wide, wide), "FIXED16_4")
    model = net.build((x,), (wide, total))
    assert labels_of(model) == dict.fromkeys((labels, flat, moved, wide), x)
