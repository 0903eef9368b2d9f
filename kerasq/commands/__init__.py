"""The commands that run, judge, show and time .kq files: kerasq-run, kerasq-eval, kerasq-inspect, kerasq-bench.

Each of their modules (run.py, evaluate.py, inspect.py, bench.py) defines a `Command` (arguments.py) and offers its
`main(argv) -> int`, which returns the exit status, and `run()`, the console script.
"""
