"""What tests of conversions share: a live model that is converted again and again is read once."""

import collections
import hashlib

import pytest

from kerasq_convert import pipeline

KEPT = 8  # models, with their graphs
cache: collections.OrderedDict = collections.OrderedDict()


def key(source, signature, sizes):
    """What a graph is made from; `None` for files. The model is itself part of its entry, so that no other gets its id."""
    if not hasattr(source, "get_weights"):
        return None
    weights = hashlib.sha256(b"".join(array.tobytes() for array in source.get_weights())).hexdigest()
    try:
        layers = source.to_json()
    except Exception:  # of classes of one's own, it knows no more than that it is the same model
        layers = ""
    return id(source), weights, layers, signature, repr(sizes and sorted(vars(sizes).items()))


@pytest.fixture(autouse=True, scope="module")
def models_are_read_once(request):
    """Most of the time of a small conversion goes into Keras' export. Graphs are frozen: all conversions may start from one.

    Not for tests of the front end itself.
    """
    if request.path.parent.name == "frontend":
        yield
        return
    read = pipeline.read_model

    def read_once(source, signature=None, sizes=None):
        entry = key(source, signature, sizes)
        if entry is None:
            return read(source, signature, sizes)
        if entry not in cache:
            cache[entry] = source, read(source, signature, sizes)
            while len(cache) > KEPT:
                cache.popitem(last=False)
        cache.move_to_end(entry)
        return cache[entry][1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "read_model", read_once)
        yield
