"""Marks an environment that has kerasq-runtime, the distribution that only runs .kq files: `import kerasq` is what it is for."""
