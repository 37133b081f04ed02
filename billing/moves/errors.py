"""What can be wrong with a move; each names the thing and the way out."""


class MoveError(Exception):
    """A move that cannot be made, scheduled or cancelled as asked."""


class CriteriaError(MoveError):
    """A choice of subscriptions that cannot be read; `field` says which part of it."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)
