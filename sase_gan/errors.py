"""Errors that a user can cause, each with the exit code of the command line.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 weights missing or damaged, 4 unusable data,
5 results cannot be written, 130 interrupted after saving. The text of an error is one sentence that names the value
received, what is required and the likely fix; the command line prints that sentence and no traceback.
"""


class SaseGanError(Exception):
    """Something went wrong that the message explains completely."""

    exit_code = 1


class UsageError(SaseGanError, ValueError):
    """A wrong option, a wrong configuration value or a combination that has no effect."""

    exit_code = 2


class WeightsError(SaseGanError):
    """A pretrained weights file is missing, damaged or of another network."""

    exit_code = 3


class DataError(SaseGanError, ValueError):
    """Pictures that cannot be used: a missing or empty folder, a broken file, sizes that do not fit."""

    exit_code = 4


class PlaceError(SaseGanError):
    """The place for the results does not take them: a full disk, no permission, a file where a folder is needed."""

    exit_code = 5
