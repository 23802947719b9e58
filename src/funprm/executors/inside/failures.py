"""Why tests that run in the sandbox are not passed."""


class WrongAnswerError(Exception):
    """The tests are not satisfied."""


class ProgramFailedError(Exception):
    """The program raised an error, or ended."""


class TamperingError(Exception):
    """The program changed something that the tests rely on."""
