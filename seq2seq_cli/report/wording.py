"""Shares as people read them."""


def percent(share: float) -> str:
    """Return a share as a percentage, with more digits where it is close to 100 and not there."""
    return f"{share:.4%}" if 0.999 < share < 1 else f"{share:.2%}"
