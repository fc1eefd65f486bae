"""The one error a person sees: a sentence that says what is wrong and what to do next."""


class LabError(Exception):
    """Something the lab cannot go on without; its text is one sentence with the next step."""
