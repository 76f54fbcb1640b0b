"""Which cells a sweep has: their settings, what is wrong with them, and how long each takes."""
