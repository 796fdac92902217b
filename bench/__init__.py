"""How fast, and compared with what: every figure in the README comes from `make bench`."""
