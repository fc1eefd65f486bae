"""Periodic observations of hosts, VMs and the storage."""
