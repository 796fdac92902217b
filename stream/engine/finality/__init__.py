"""Which results are final: the frontiers of each shard, and what its previous owner had finished.

May import: schemas, stream.engine.core, stream.engine.recovery.
"""
