"""Logs, metrics, and the HTTP server that serves metrics.

May import: stream.configuration, stream.errors.
"""
