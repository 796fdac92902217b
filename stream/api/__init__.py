"""The API over HTTP, under ``/api/v1``: recent results, older ones, streams, and the state of the pipeline.

May import: schemas, stream.configuration, stream.engine.define, stream.errors, stream.recent, stream.results,
stream.sql, stream.watch.
"""
