"""The commands that run, judge and show .kq files: kerasq-run, kerasq-eval, kerasq-inspect.

Each module defines a `Command` (see arguments.py) and offers its `main(argv) -> int`, which returns the exit status, and `run()`,
the console script.
"""
