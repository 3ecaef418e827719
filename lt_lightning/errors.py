"""The one error that a user's mistake raises."""

from lt_lightning.redaction import redact


class LtError(Exception):
    """A mistake that the user can mend; the command prints it in at most three lines and exits with 2.

    Secrets in what it quotes are hidden.

    Args:
        what: What is wrong: what was expected and what was given.
        where: The file, key or value it concerns.
        fix: What to do about it.
    """

    def __init__(self, what: str, where: str, fix: str) -> None:
        self.what, self.where, self.fix = (redact(" ".join(part.split())) for part in (what, where, fix))
        super().__init__(self.what, self.where, self.fix)

    def __str__(self) -> str:
        return f"{self.what}\n  where: {self.where}\n  fix: {self.fix}"
