"""The Nacre control plane."""
