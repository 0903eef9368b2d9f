"""What is known of the values of a network: from examples that run through it, or from a training's statistics."""
