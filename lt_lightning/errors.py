"""The one error that a user's mistake raises."""


class LtError(Exception):
    """A mistake that the user can mend; the command prints it in at most three lines and exits with 2.

    Args:
        what: What is wrong: what was expected and what was given.
        where: The file, key or value it concerns.
        fix: What to do about it.
    """

    def __init__(self, what: str, where: str, fix: str) -> None:
        super().__init__(what, where, fix)
        self.what, self.where, self.fix = (" ".join(part.split()) for part in (what, where, fix))

    def __str__(self) -> str:
        return f"{self.what}\n  where: {self.where}\n  fix: {self.fix}"
