"""The commands of `s2s`, one module each: options, then one function that shows its result."""
