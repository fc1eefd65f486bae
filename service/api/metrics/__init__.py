"""Gauges and counters for Prometheus, by subject."""
