"""Block devices for guests: one contract, several backends; independent of service."""
