"""The storage spike of ADR 0003: alternatives side by side, in interleaved rounds."""
