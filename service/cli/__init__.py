"""The `nacre` command: speaks HTTP to the API and imports nothing of the service."""
