"""The vocabulary in which a provider is described, and one folder per provider.

A provider imports the vocabulary and `domain`, never another provider, never the store.
"""
