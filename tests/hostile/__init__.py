"""Hostile peers against a live gateway: what is owed to every malformed, ambiguous or endless message."""
