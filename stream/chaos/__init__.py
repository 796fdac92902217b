"""Faults on purpose: a steady feed, a seeded schedule of blows, and a truth that every result is held to."""
