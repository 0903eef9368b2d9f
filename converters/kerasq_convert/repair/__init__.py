"""What is mended in a finished network, and what can't be: biases that rounding moved, channels that it silenced."""
