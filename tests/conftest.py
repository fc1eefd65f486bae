"""What holds for every suite: no test fails on a clock, so hypothesis has no deadline for an example."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
