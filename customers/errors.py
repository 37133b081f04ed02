"""Business failures of this app, each with a sentence that names the thing and the way out."""


class CustomerError(ValueError):
    """Base of this app's failures."""
