"""Results -> charts' data -> pictures and a page."""
