"""Addresses of guests and the guest network."""
