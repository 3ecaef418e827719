"""Suites of pairs: what we do, and what it is held against, measured in interleaved rounds of one process."""
