"""Numbered SQL, forward only, each safe while the version before it still runs."""
