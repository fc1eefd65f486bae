"""Hosts by libvirt: domains, devices, consoles and screens."""
