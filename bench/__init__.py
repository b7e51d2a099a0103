"""Headrace's benchmark: the whole pipeline on the one-machine stack, measured from outside. See docs/benchmarks.md."""
