"""What a price can get wrong, said so that whoever wrote it can mend it."""


class PriceError(ValueError):
    """A price that cannot be read, or usage that it cannot rate: `code`, `message` with the way out, `path` to it.

    Codes: not_an_object, not_a_list, missing_key, unknown_key, unsupported, unknown_model, unknown_currency,
    invalid_choice, invalid_number, out_of_range, tier_order, last_tier_not_open, incomplete, unknown_dimension,
    duplicate_cell, currency_mismatch; of usage quantity_needed, events_needed, cells_needed, no_cell, rate_needed.
    """

    def __init__(self, code: str, message: str, path: str) -> None:
        self.code = code
        self.message = message
        self.path = path
        super().__init__(f"{path}: {message}")

    def to_json(self) -> dict[str, str]:
        """The error as commands and the API answer it."""
        return {"code": self.code, "message": self.message, "path": self.path}
