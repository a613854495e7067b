"""Lists: pages of objects by ascending id, and an opaque cursor between them."""

import base64
import uuid
from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from springline.api.bodies import Body

T = TypeVar("T")
Row = TypeVar("Row")


class ListQuery(Body):
    """What every list takes."""

    limit: Annotated[int, Meta(ge=1, le=1000, description="How many objects at most.")] = 1000
    cursor: (
        Annotated[
            str,
            Meta(
                pattern=r"^[A-Za-z0-9_-]{22}$(?!\n)",
                description="The `next_cursor` of the answer before.",
                extra={"says": "a `next_cursor` that this list gave out"},
            ),
        ]
        | UnsetType
    ) = UNSET

    @property
    def after(self) -> uuid.UUID | None:
        """The id above which the page begins."""
        return None if isinstance(self.cursor, UnsetType) else _decode(self.cursor)


class Listed(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A page of a list. `next_cursor` null: there is no more."""

    data: list[T]
    next_cursor: str | None


def page(rows: Sequence[Row], limit: int, *, key: Callable[[Row], uuid.UUID], show: Callable[[Row], T]) -> Listed[T]:
    """A page of at most `limit` of the rows; one row more says that there is a next page."""
    shown = rows[:limit]
    more = len(rows) > limit
    return Listed(data=[show(row) for row in shown], next_cursor=encode_cursor(key(shown[-1])) if more else None)


def encode_cursor(last: uuid.UUID) -> str:
    """The cursor after an object of this id."""
    return base64.urlsafe_b64encode(last.bytes).rstrip(b"=").decode()


def _decode(cursor: str) -> uuid.UUID:
    return uuid.UUID(bytes=base64.urlsafe_b64decode(cursor + "=="))
