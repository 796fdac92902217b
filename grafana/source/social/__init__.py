"""The page of results on posts."""
