"""Tickertape: rolling metrics of markets and social media on Kafka, exact, in Python."""
