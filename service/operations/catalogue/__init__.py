"""Flavors, networks and pools."""
