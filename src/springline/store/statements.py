"""Named SQL: `sql/<noun>.sql` holds the operations of one noun.

An operation starts with a line `-- name --`, then a line of purpose, then one statement.
"""

import re
from importlib import resources

_NAME = re.compile(r"^-- ([a-z_]+) --$", re.MULTILINE)


def load_statements(noun: str) -> dict[str, str]:
    """The statements of a noun by name. Raises ValueError for a name that stands twice."""
    text = resources.files("springline.store").joinpath("sql", f"{noun}.sql").read_text(encoding="utf-8")
    parts = _NAME.split(text)
    statements: dict[str, str] = {}
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        if name in statements:
            raise ValueError(f"sql/{noun}.sql has two statements named {name}")
        statements[name] = body.strip()
    return statements
