"""Pictures of the console of a real demo, and what makes them; development only."""
