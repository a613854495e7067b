"""What moves: workers run syncs, syncs fetch pages, pages are committed, consumers receive.

May import `store`, `providers` and `domain`.
"""
