"""The command line: commands, their options, what they print, and the process around them."""
