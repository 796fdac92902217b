"""The page of the pipeline itself."""
