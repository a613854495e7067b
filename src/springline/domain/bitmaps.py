"""Which record numbers a sweep has seen: a bitmap, in pieces of 4 KiB."""

from array import array
from collections.abc import Mapping
from typing import Final

_PIECE_BYTES: Final = 4096
_PIECE_BITS: Final = _PIECE_BYTES * 8
#: A piece with so few numbers is kept as a set: in a stream of many syncs the numbers of one lie far apart.
_SPARSE: Final = 64


class RecordBitmap:
    """A set of record numbers: ten million numbers that lie together take 1.25 MB."""

    __slots__ = ("_changed", "_pieces")

    def __init__(self) -> None:
        self._pieces: dict[int, set[int] | bytearray] = {}
        self._changed: set[int] = set()

    def add(self, record_no: int) -> None:
        piece_no, bit = divmod(record_no, _PIECE_BITS)
        self._changed.add(piece_no)
        piece = self._pieces.get(piece_no)
        if piece is None:
            self._pieces[piece_no] = {bit}
        elif isinstance(piece, set):
            piece.add(bit)
            if len(piece) > _SPARSE:
                self._pieces[piece_no] = _dense(piece)
        else:
            piece[bit >> 3] |= 1 << (bit & 7)

    def __contains__(self, record_no: int) -> bool:
        piece_no, bit = divmod(record_no, _PIECE_BITS)
        piece = self._pieces.get(piece_no)
        if isinstance(piece, bytearray):
            return bool(piece[bit >> 3] & (1 << (bit & 7)))
        return piece is not None and bit in piece

    def unsaved(self) -> dict[int, bytes]:
        """The pieces that have changed since `note_saved`, by number."""
        return {piece_no: _packed(self._pieces[piece_no]) for piece_no in self._changed}

    def note_saved(self) -> None:
        """What `unsaved` gave is saved now."""
        self._changed.clear()

    def restore(self, saved: Mapping[int, bytes]) -> None:
        """Takes in pieces that were saved."""
        for piece_no, packed in saved.items():
            if len(packed) == _PIECE_BYTES:
                self._pieces[piece_no] = bytearray(packed)
            else:
                self._pieces[piece_no] = set(array("H", packed))


def _dense(bits: set[int]) -> bytearray:
    piece = bytearray(_PIECE_BYTES)
    for bit in bits:
        piece[bit >> 3] |= 1 << (bit & 7)
    return piece


def _packed(piece: set[int] | bytearray) -> bytes:
    return bytes(piece) if isinstance(piece, bytearray) else array("H", sorted(piece)).tobytes()
