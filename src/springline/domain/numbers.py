"""Numbers as people wrote them."""


def tidy(number: float) -> float:
    """The same number, as an integer where it is one: 60 is answered as 60, not as 60.0."""
    return int(number) if number == int(number) else number
