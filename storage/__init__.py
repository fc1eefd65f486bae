"""Block devices for guests: one contract, several backends. Knows nothing of the service above it."""
