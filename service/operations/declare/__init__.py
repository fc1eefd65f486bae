"""Declared VMs: their differences and the changes that apply them."""
