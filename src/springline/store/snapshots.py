"""How old the oldest snapshot in the database is: while one is held, nothing that is replaced can be cleared away."""

from springline.store.database import Database
from springline.store.statements import load_statements


async def oldest_snapshot_age(database: Database) -> float:
    """Seconds; 0 where there is none. Other roles' sessions count only where this one may read their statistics."""
    return float(await database.fetch_value(load_statements("snapshots")["oldest_snapshot_age"]))
