"""Rules about the schema, asked of the database's own catalogue (design, section 4): data could be spread by stream."""

import re
from collections.abc import Mapping

import pytest

from springline.store.database import Database

#: Small, in one place. Everything else is data.
CONFIGURATION = {
    "api_tokens",
    "consumers",
    "credentials",
    "departures",
    "grants",
    "oauth_apps",
    "organisations",
    "owner_questions",
    "quota_blocks",
    "quota_starts",
    "schema_migrations",
    "secret_keys",
    "streams",
    "syncs",
    "workers",
}
#: What keeps configuration tables.
CONFIGURATION_FUNCTIONS = {"note_configured_v1"}
#: What runs in a data transaction.
DATA_FUNCTIONS = {
    "ack_v1",
    "commit_pages_v1",
    "commit_pages_v2",
    "extend_v1",
    "filtered_sources_v1",
    "nack_v1",
    "pending_v1",
    "position_at_v1",
    "receive_v1",
    "receive_v2",
    "redrive_v1",
    "remove_tombstones_v1",
    "reset_v1",
    "term_v1",
}


@pytest.fixture
async def data_tables(shared: Database) -> set[str]:
    rows = await shared.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
    )
    tables = {row["relname"] for row in rows}
    assert tables >= CONFIGURATION
    data = tables - CONFIGURATION
    assert {"records", "payloads", "events", "deliveries", "checkpoints", "stream_heads", "sync_fences"} <= data
    return data


async def test_every_key_and_index_of_data_leads_with_the_stream(shared: Database, data_tables: set[str]) -> None:
    rows = await shared.fetch(
        """SELECT t.relname AS table, i.relname AS index, x.indisprimary AS is_key,
            (SELECT attname FROM pg_attribute WHERE attrelid = t.oid AND attnum = x.indkey[0]) AS first
        FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
        WHERE t.relnamespace = 'public'::regnamespace"""
    )
    of_data = [row for row in rows if row["table"] in data_tables]
    assert {row["table"] for row in of_data if row["is_key"]} == data_tables
    assert [row["index"] for row in of_data if row["first"] != "stream_no"] == []


async def test_no_data_table_has_a_foreign_key_or_is_named_by_one(shared: Database, data_tables: set[str]) -> None:
    rows = await shared.fetch(
        "SELECT conrelid::regclass::text AS of, confrelid::regclass::text AS to FROM pg_constraint WHERE contype = 'f'"
    )
    assert [tuple(row) for row in rows if {row["of"], row["to"]} & data_tables] == []
    assert rows


async def test_data_functions_touch_data_tables_only(shared: Database, data_tables: set[str]) -> None:
    rows = await shared.fetch(
        "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND proname <> 'now_us'"
    )
    sources: Mapping[str, str] = {row["proname"]: re.sub(r"--.*", "", row["prosrc"]) for row in rows}
    assert set(sources) == DATA_FUNCTIONS | CONFIGURATION_FUNCTIONS
    for name, source in sources.items():
        if name in CONFIGURATION_FUNCTIONS:
            continue
        named = set(re.findall(r"(?:FROM|JOIN|INTO|UPDATE|USING)\s+([a-z_]+)", source))
        assert named & CONFIGURATION == set(), name
        if name in {"ack_v1", "nack_v1", "extend_v1", "reset_v1", "term_v1", "redrive_v1"}:
            assert named & {"records", "payloads", "stream_heads"} == set(), name
        if name.startswith("commit_pages_"):  # no transaction takes locks of both kinds
            assert named & {"deliveries", "consumer_positions", "dead_letters"} == set()
        for table in named & data_tables:
            assert "p_stream_no" in source, (name, table)


async def test_functions_plan_for_tables_that_have_grown(shared: Database) -> None:
    rows = await shared.fetch(
        """SELECT p.proname, p.proconfig FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
        WHERE p.pronamespace = 'public'::regnamespace AND l.lanname = 'plpgsql'"""
    )
    assert {row["proname"] for row in rows if "enable_seqscan=off" not in (row["proconfig"] or [])} == set()


async def test_keys_of_the_api_are_compared_byte_by_byte(shared: Database, data_tables: set[str]) -> None:
    rows = await shared.fetch(
        """SELECT c.relname AS table, a.attname AS column, l.collname AS collation
        FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (x.indkey::smallint[])
        JOIN pg_collation l ON l.oid = a.attcollation
        WHERE c.relnamespace = 'public'::regnamespace AND a.atttypid = 'text'::regtype"""
    )
    of_data = [row for row in rows if row["table"] in data_tables]
    assert {row["column"] for row in of_data} >= {"upstream_id", "collection_id", "name"}
    assert [row["column"] for row in of_data if row["collation"] != "C"] == []
