"""The commands that run, judge and show .kq files: kerasq-run, kerasq-eval, kerasq-inspect.

Each module has `main(argv) -> int`, which returns the exit status (0 done, 1 failed with one line on stderr, 2 wrong usage), and
`run()`, the console script.
"""
