"""The format of every tensor: from settings, from observed values, from a kernel's own values, within the accumulator proof."""
