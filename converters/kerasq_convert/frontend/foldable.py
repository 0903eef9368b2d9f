"""TensorFlow's operations that are never folded: what draws random numbers, for one draw is no constant, and branches.

Of a branch (`tf.cond`, lowered) one side has no value at all, so TensorFlow can't be asked for it.
"""

from __future__ import annotations

import re

# Of the names with "Random", those of keys, counters and datasets draw nothing; others draw without saying so.
_RANDOM = re.compile(
    r".*Random(?!.*(GetKeyCounter|GetAlg|Seed|Dataset)).*|.*Multinomial|.*TruncatedNormal(V2)?|Stateful(StandardNormal(V2)?|Uniform\w*)"
    r"|StatelessShuffle|RngReadAndSkip|StatelessSampleDistortedBoundingBox|SampleDistortedBoundingBox(V2)?|\w+CandidateSampler"
)
_BRANCHES = ("Switch", "RefSwitch", "Merge", "RefMerge")


def is_foldable(kind: str) -> bool:
    """Whether an operation of this type has one value where its inputs have."""
    return not is_random(kind) and kind not in _BRANCHES


def is_random(kind: str) -> bool:
    """Whether an operation of this type gives other values each time."""
    return _RANDOM.fullmatch(kind) is not None
