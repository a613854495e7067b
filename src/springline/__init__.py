"""Springline: syncs SaaS APIs into durable streams."""

__version__ = "0.1.0"
