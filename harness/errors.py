"""What is raised when the harness cannot work. A broken promise is never an error: it is a finding."""


class HarnessError(Exception):
    """The harness cannot go on; the text is one line that says what was found, what was expected, and what to do."""

    exit_code = 4

    @property
    def on_the_way(self) -> bool:
        """Whether it can befall a run that was called rightly, and is no reason to lose what it recorded."""
        return self.exit_code == HarnessError.exit_code


class UsageError(HarnessError):
    """The command was called in a way that cannot be carried out."""

    exit_code = 2


class AgreementError(HarnessError):
    """`contracts/` does not load. Every line of the text begins with `file:line:column`."""

    exit_code = 2
