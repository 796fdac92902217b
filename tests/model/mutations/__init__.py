"""Bugs in the protocol. Each replaces a few lines of the model, and names the class of histories that shows it."""

from . import bundles, ends, growth, lanes, records, slices, sources, windows
from .plant import MUTATIONS

__all__ = ["MUTATIONS", "bundles", "ends", "growth", "lanes", "records", "slices", "sources", "windows"]
