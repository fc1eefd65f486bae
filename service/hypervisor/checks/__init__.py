"""Checks of a host before it is added: its settings, and a kernel boot with KVM."""
