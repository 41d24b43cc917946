"""The figures of ``make bench``: speed, memory and requests, each a ratio of two sides measured in turn."""
