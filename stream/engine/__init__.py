"""The engine: blocks, time, slices, checkpoints, windows. It knows nothing of prices or posts."""
