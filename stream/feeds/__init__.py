"""Sources: each turns what an exchange, a file or a simulated market says into records, and publishes them."""
