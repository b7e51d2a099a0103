"""The command line's commands, one module a theme, each with ``register(app)``. Words, no decisions."""
