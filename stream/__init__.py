"""The pipeline: engine, Kafka, feeds, workers and the command line. It knows nothing of any metric.

May import: nothing of ours.
"""
