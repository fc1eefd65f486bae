"""Hosts and host groups: checked, added, updated, removed."""
