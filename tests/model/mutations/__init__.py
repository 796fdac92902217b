"""What one could get wrong, each a few lines that replace the right ones, with the class of histories that shows it."""

from . import ends, growth, slices, sources, windows
from .plant import MUTATIONS

__all__ = ["MUTATIONS", "ends", "growth", "slices", "sources", "windows"]
