"""Rolling metrics of markets."""
