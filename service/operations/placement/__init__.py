"""Choosing hosts: requests, rules, algorithms, replay and simulation."""
