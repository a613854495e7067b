"""Which record numbers a sweep has seen: a bitmap, in pieces of 4 KiB."""

_PIECE_BYTES = 4096
_PIECE_BITS = _PIECE_BYTES * 8


class RecordBitmap:
    """A set of record numbers: ten million numbers that lie together take 1.25 MB."""

    __slots__ = ("_pieces",)

    def __init__(self) -> None:
        self._pieces: dict[int, bytearray] = {}

    def add(self, record_no: int) -> None:
        piece_no, bit = divmod(record_no, _PIECE_BITS)
        piece = self._pieces.get(piece_no)
        if piece is None:
            piece = self._pieces[piece_no] = bytearray(_PIECE_BYTES)
        piece[bit >> 3] |= 1 << (bit & 7)

    def __contains__(self, record_no: int) -> bool:
        piece_no, bit = divmod(record_no, _PIECE_BITS)
        piece = self._pieces.get(piece_no)
        return piece is not None and bool(piece[bit >> 3] & (1 << (bit & 7)))
