"""Errors that are the user's to mend, as opposed to defects of ours.

Each carries one message that says what was expected, what was found, where, and what to do next; the
command line prints it without a traceback. Programming errors stay ordinary exceptions.
"""


class UserError(Exception):
    """Base of every error whose message is written for the person who runs the pipeline."""


class SettingsError(UserError):
    """A setting (environment variable) that cannot be used."""


class SourceError(UserError):
    """Raw input that cannot be read: nothing there, an unknown format, mixed formats, unreadable."""


class GridError(UserError):
    """A candidates file with an unknown family, field or value."""


class ExtraError(UserError):
    """A family whose training needs a library that is not installed."""


class DataError(UserError):
    """Data that is readable but cannot support the step asked for (for example no playlists left)."""


class StorageError(UserError):
    """The DuckDB file, a model folder or the registry cannot be used as it is."""


class OtherVersionError(StorageError):
    """Files of a model that another version of recsys_assets wrote, and this one cannot read."""
