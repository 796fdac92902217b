"""A model of how alerts are sent: processes that die and freeze, the outbox's log, and a channel that counts."""
