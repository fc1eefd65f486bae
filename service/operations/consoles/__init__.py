"""Screens and serial lines of VMs."""
