"""The order of operators, and where in the arena each activation lies."""
