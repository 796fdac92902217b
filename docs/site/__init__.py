"""The documentation as a site; development only."""
