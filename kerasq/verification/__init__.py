"""Which models run in bounds and exactly: rules of a network, its memory plan, and where outputs may lie over inputs."""
