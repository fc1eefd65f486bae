"""Errors that end the command with a message instead of a traceback."""

from __future__ import annotations

from service.cli.reasons import grouped


class CliError(Exception):
    """Error printed as `nacre: …`; the process exits with `exit_code`."""

    exit_code = 1


class UsageError(CliError):
    """Wrong arguments or configuration; nothing was sent or changed."""

    exit_code = 2


class ApiError(CliError):
    """Error response of the API; `problem` is its RFC 9457 document."""

    def __init__(self, problem: dict[str, object]) -> None:
        super().__init__(_sentence(problem))
        self.problem = problem


class JobFailedError(CliError):
    """Job that ended without success while the command waited for it."""


def _sentence(problem: dict[str, object]) -> str:
    lines = [f"{problem.get('detail', 'the API gave no detail')} [{problem.get('code', '?')}]"]
    errors = problem.get("errors")
    if isinstance(errors, list):
        detail = problem.get("detail")
        lines += [f"  {error['field']}: {error['message']}" for error in errors if error["message"] != detail]
    reasons = problem.get("reasons")
    if isinstance(reasons, dict):
        lines += [f"  {line}" for line in grouped(reasons)]
    return "\n".join(lines)


class LostError(CliError):
    """No response from the API; the outcome of the request is unknown."""
