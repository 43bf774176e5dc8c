"""Forebay: calculations on demand over large, slowly changing data, split by volatility."""

__version__ = "0.1.0"
