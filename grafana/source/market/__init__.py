"""The page of results on the market."""
