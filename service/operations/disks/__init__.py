"""Disks, media and data volumes."""
