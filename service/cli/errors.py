"""What ends the command with a message instead of a traceback."""

from __future__ import annotations

from service.cli.reasons import grouped


class CliError(Exception):
    """Printed as `nacre: …`; the process ends with `exit_code`."""

    exit_code = 1


class UsageError(CliError):
    """The command was called or configured wrongly."""

    exit_code = 2


class ApiError(CliError):
    """The API said no; `problem` is its problem document."""

    def __init__(self, problem: dict[str, object]) -> None:
        super().__init__(_sentence(problem))
        self.problem = problem


class JobFailedError(CliError):
    """The job that was waited for did not succeed."""


def _sentence(problem: dict[str, object]) -> str:
    lines = [f"{problem.get('detail', 'the API gave no reason')} [{problem.get('code', '?')}]"]
    errors = problem.get("errors")
    if isinstance(errors, list):
        said = problem.get("detail")
        lines += [f"  {error['field']}: {error['message']}" for error in errors if error["message"] != said]
    reasons = problem.get("reasons")
    if isinstance(reasons, dict):
        lines += [f"  {line}" for line in grouped(reasons)]
    return "\n".join(lines)


class LostError(CliError):
    """The API did not answer, or the connection broke: nobody knows what became of the request."""
