"""How a command fails."""


class CommandFailed(Exception):
    """The command could not do what it was asked. The message is a sentence with the way out, shown as `error: …`."""
