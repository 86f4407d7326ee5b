"""The one family of errors: a message says subject, what was got, what is allowed, what to do."""


class NeurokdError(Exception):
    """Wrong usage or wrong input; the command line prints it as one line and exits with 2."""

    exit_code = 2


class CheckFailed(NeurokdError):
    """A check that was asked for has failed, e.g. one differing spike; exits with 1."""

    exit_code = 1


class RunBusy(NeurokdError):
    """Another process holds the lock of a run."""
