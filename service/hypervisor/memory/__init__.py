"""The hypervisor contract in RAM, for tests and simulation."""
