"""Measurements: the storage spike, the bare prototype, and Springline beside it."""
