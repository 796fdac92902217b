"""The protocol as a model that runs, and its truth."""
