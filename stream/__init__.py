"""How it is done: the engine, the feeds, Kafka, the console. It knows nothing of prices or posts."""
