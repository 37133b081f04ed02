"""The ties as a report: the figures that a close insists on (`revenue.ledger.ties`), for whoever asks at any time."""

from revenue.ledger.ties import Tie, Ties, ties

__all__ = ["Tie", "Ties", "ties"]
