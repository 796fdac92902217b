"""Rolling metrics of posts."""
