"""What a person sees: records as they come, a live table, and the demo that puts all of it together."""
