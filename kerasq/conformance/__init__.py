"""Whether the runtime in C and kerasq in Python are one: models and damaged files to try, and the programs that try them."""
