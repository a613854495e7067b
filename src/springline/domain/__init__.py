"""Rules without I/O: what a record, a change, a quota or an error is. Imports nothing else of Springline."""
