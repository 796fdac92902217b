"""What travels: one msgspec Struct a record, and the catalogue of topics. No logic, and nothing of ours imported."""
