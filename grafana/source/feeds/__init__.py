"""The page of feeds."""
