"""VMs as they are declared: the difference, and what applies it."""
