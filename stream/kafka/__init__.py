"""Kafka: clients, access, topics, state that is stored on topics, and the embedded broker.

May import: nothing of ours.
"""
