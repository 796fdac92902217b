"""The page that shows a running pipeline in a browser, and the server of it.

May import: stream.api, stream.cluster, stream.configuration, stream.errors, stream.telemetry.
"""
