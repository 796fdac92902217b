"""The page of signals, and of the alerts that are made of them."""
