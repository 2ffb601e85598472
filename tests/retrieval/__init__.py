"""The retrieval by itself, against a server on loopback that does to each path what a test tells it."""
