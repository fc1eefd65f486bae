"""Command line client `nacre`: uses the HTTP API only."""
