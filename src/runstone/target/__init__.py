"""The server under test: how it is reached, described, started and stopped."""
