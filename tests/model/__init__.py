"""A model of the protocol that runs, and an oracle that checks it."""
