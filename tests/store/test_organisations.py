"""Organisations, and who gets in after a start."""

import asyncio

import pytest

from springline.domain.organisations import token_hash
from springline.domain.secrets import Secret
from springline.store.database import Database, DatabaseError
from springline.store.organisations import OrganisationExists, OrganisationStore
from springline.store.tokens import TokenStore


async def test_the_first_start_makes_a_token_and_no_other_does(database: Database) -> None:
    store = OrganisationStore(database)
    token = await store.ensure_default(None)
    assert token is not None
    assert await store.ensure_default(None) is None
    (organisation,) = await store.list()
    assert organisation.name == "default"
    assert await TokenStore(database).organisation_of(token_hash(token.reveal())) == organisation.org_id


async def test_starts_at_once(database: Database) -> None:
    made = await asyncio.gather(*(OrganisationStore(database).ensure_default(None) for _ in range(6)))
    assert len([token for token in made if token is not None]) == 1
    assert await database.fetch_value("SELECT count(*) FROM organisations") == 1


async def test_the_token_of_the_settings(database: Database) -> None:
    store, tokens = OrganisationStore(database), TokenStore(database)
    one, two = Secret("one" * 8), Secret("two" * 8)

    async def known(token: Secret) -> bool:
        return await tokens.organisation_of(token_hash(token.reveal())) is not None

    assert await store.ensure_default(one) is None
    assert await store.ensure_default(one) is None
    assert await known(one)
    # One that differs takes its place; tokens that were made otherwise stay.
    (organisation,) = await store.list()
    _, by_hand = await tokens.create(organisation.org_id, "ci")
    assert await store.ensure_default(two) is None
    assert (await known(one), await known(two), await known(by_hand)) == (False, True, True)
    assert await store.ensure_default(None) is None
    assert await known(two)
    # One that was made otherwise may become the settings' own.
    assert await store.ensure_default(by_hand) is None
    assert (await known(two), await known(by_hand)) == (False, True)


async def test_a_token_of_another_organisation_is_no_way_in(database: Database) -> None:
    store = OrganisationStore(database)
    _, theirs = await store.create("theirs")
    with pytest.raises(DatabaseError, match="another organisation"):
        await store.ensure_default(theirs)
    assert [organisation.name for organisation in await store.list()] == ["theirs"]


async def test_names_are_unique(database: Database) -> None:
    store = OrganisationStore(database)
    organisation, token = await store.create("acme")
    assert await TokenStore(database).organisation_of(token_hash(token.reveal())) == organisation.org_id
    with pytest.raises(OrganisationExists):
        await store.create("acme")
    assert len(await store.list()) == 1
