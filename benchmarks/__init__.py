"""Measures a whole stack on this machine: `make bench`, or `python -m benchmarks [stage …]`."""
