"""Why a network loses accuracy, and the one option or settings line that mends it: a file for each cause."""
