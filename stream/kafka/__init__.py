"""Kafka: clients, access, topics, what is stored there, and a broker of our own.

May import: nothing of ours.
"""
