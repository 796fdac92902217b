"""Benchmarks, with comparisons: all figures in the README come from `make bench`."""
