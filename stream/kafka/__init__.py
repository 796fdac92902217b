"""Kafka itself: a broker of our own, and the topics on it."""
