"""Other engines on the same work: programs and environments, the turns, the check of each row, table and chart."""
