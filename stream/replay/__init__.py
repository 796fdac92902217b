"""The same log again, without workers: files or a topic's retained log, folded in parallel processes, to Parquet."""
