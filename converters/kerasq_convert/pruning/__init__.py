"""What can't change is not computed: channels, operators and constants that a finished network does without, bit for bit."""
