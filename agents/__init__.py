"""What is computed: one metric a file."""
