"""Checks of a host before it is taken in: its settings, and whether a kernel boots with KVM."""
