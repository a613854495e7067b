"""Secrets at rest: what is encrypted where, and starts with the wrong key."""

import uuid
from typing import Any

import msgspec
import pytest

from springline.domain.credentials import Properties
from springline.domain.secrets import Secret
from springline.store.credentials import CredentialStore
from springline.store.database import Database
from springline.store.grants import GrantStore, Token
from springline.store.oauth_apps import OAuthAppStore
from springline.store.organisations import OrganisationStore
from springline.store.secrets import Sealed, SecretBox, SecretError, SecretPlace, check_secret_keys, secret_key_id

ONE, TWO, THREE = (bytes([number]) * 32 for number in (1, 2, 3))
PLACE = SecretPlace(uuid.UUID(int=1), "credentials", "a", "secrets")


async def credential(database: Database, box: SecretBox, text: str = "sk_test_1") -> tuple[uuid.UUID, uuid.UUID]:
    """(org_id, credential_id) of a credential with this secret."""
    organisation, _ = await OrganisationStore(database).create(f"org {text}")
    made = await CredentialStore(database, box).create(
        organisation.org_id,
        provider="stripe",
        kind="stripe_key",
        account=f"acct_{len(text)}_{text[-1]}",
        secret_print=text[-1],
        name=None,
        properties=Properties(shown={"test": True}, secrets={"secret": Secret(text)}),
        metadata={},
    )
    return organisation.org_id, made.credential_id


def test_what_was_encrypted_can_be_read() -> None:
    box = SecretBox([ONE])
    first, second = box.encrypt(b"hello", PLACE), box.encrypt(b"hello", PLACE)
    assert first.key_id == secret_key_id(ONE)
    assert first.content != second.content
    assert b"hello" not in first.content
    assert box.decrypt(first, PLACE) == box.decrypt(second, PLACE) == b"hello"
    assert box.decrypt(box.encrypt(b"", PLACE), PLACE) == b""


def test_the_first_key_encrypts_and_all_decrypt() -> None:
    old = SecretBox([ONE]).encrypt(b"hello", PLACE)
    both = SecretBox([TWO, ONE])
    assert both.decrypt(old, PLACE) == b"hello"
    assert both.encrypt(b"hello", PLACE).key_id == secret_key_id(TWO)
    with pytest.raises(SecretError, match=secret_key_id(ONE)):
        SecretBox([TWO]).decrypt(old, PLACE)


@pytest.mark.parametrize(
    "place",
    [
        PLACE._replace(org_id=uuid.UUID(int=2)),
        PLACE._replace(table="oauth_apps"),
        PLACE._replace(row_id="b"),
        PLACE._replace(column="other"),
        PLACE._replace(table="credentialsa", row_id=""),
    ],
)
def test_a_secret_that_was_moved_cannot_be_read(place: SecretPlace) -> None:
    box = SecretBox([ONE])
    with pytest.raises(SecretError, match="changed or moved"):
        box.decrypt(box.encrypt(b"hello", PLACE), place)


def test_a_secret_that_was_changed_cannot_be_read() -> None:
    box = SecretBox([ONE])
    sealed = box.encrypt(b"hello", PLACE)
    flipped = bytes([sealed.content[-1] ^ 1])
    for content in (sealed.content[:-1] + flipped, sealed.content[:-1], b"", sealed.content + b"x"):
        with pytest.raises(SecretError, match="changed or moved"):
            box.decrypt(Sealed(sealed.key_id, content), PLACE)


@pytest.mark.parametrize("keys", [[], [b"short"], [ONE, b"x" * 33]])
def test_keys_have_their_length(keys: list[bytes]) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SecretBox(keys)


def test_fingerprints_need_the_key() -> None:
    one, two = SecretBox([ONE]), SecretBox([TWO, ONE])
    assert one.fingerprints(b"hello") != SecretBox([THREE]).fingerprints(b"hello")
    assert two.fingerprints(b"hello")[1:] == one.fingerprints(b"hello")
    assert one.fingerprints(b"hello") != one.fingerprints(b"hallo")


def test_a_secret_prints_as_asterisks() -> None:
    secret = Secret("sk_test_1")
    shown = [str(secret), repr(secret), f"{secret}", f"{secret!r:>40}", "%s" % secret, str([secret]), str({1: secret})]  # noqa: UP031
    properties = Properties(shown={}, secrets={"secret": secret})
    for text in [*shown, str(properties), str(properties.masked())]:
        assert "sk_test" not in text
        assert "***" in text
    assert secret.reveal() == "sk_test_1"
    assert (secret == Secret("sk_test_1"), secret == "sk_test_1") == (True, False)
    with pytest.raises(TypeError):
        msgspec.json.encode(secret)
    with pytest.raises(TypeError, match="not serialised"):
        __import__("pickle").dumps(secret)


async def test_credentials_are_encrypted_in_their_place(database: Database) -> None:
    box = SecretBox([ONE])
    store = CredentialStore(database, box)
    org_id, credential_id = await credential(database, box)
    properties = await store.properties(org_id, credential_id)
    assert properties is not None
    assert properties.reveal() == {"test": True, "secret": "sk_test_1"}
    (whole,) = await database.fetch("SELECT c::text AS row, secrets FROM credentials c")
    assert "sk_test_1" not in whole["row"]
    assert b"sk_test_1" not in whole["secrets"]
    # Another row's secret is of no use here.
    other_org, other_id = await credential(database, box, "sk_test_2")
    await database.execute(
        "UPDATE credentials c SET secrets = o.secrets FROM credentials o "
        "WHERE c.credential_id = $1 AND o.credential_id = $2",
        credential_id,
        other_id,
    )
    with pytest.raises(SecretError, match="changed or moved"):
        await store.properties(org_id, credential_id)
    assert await store.properties(org_id, other_id) is None
    assert await store.properties(other_org, other_id) is not None


async def test_starts(database: Database) -> None:
    one = SecretBox([ONE])
    await check_secret_keys(database, one, newly_made=True)
    # Nothing is encrypted yet: any key will do.
    await check_secret_keys(database, SecretBox([TWO]), newly_made=True)
    await credential(database, one)
    await check_secret_keys(database, one, newly_made=False)
    await check_secret_keys(database, SecretBox([TWO, ONE]), newly_made=False)
    with pytest.raises(SecretError, match=f"key {secret_key_id(ONE)}, which was not given"):
        await check_secret_keys(database, SecretBox([TWO]), newly_made=False)
    with pytest.raises(SecretError, match=f"just made, but the database holds secrets .* {secret_key_id(ONE)}"):
        await check_secret_keys(database, SecretBox([TWO]), newly_made=True)
    await credential(database, SecretBox([TWO]), "sk_test_2")
    with pytest.raises(SecretError) as missing:
        await check_secret_keys(database, SecretBox([THREE]), newly_made=False)
    assert all(secret_key_id(key) in str(missing.value) for key in (ONE, TWO))
    await database.execute("UPDATE secret_keys SET proof = '\\x00' WHERE key_id = $1", secret_key_id(ONE))
    with pytest.raises(SecretError, match="secret_keys"):
        await check_secret_keys(database, SecretBox([ONE, TWO]), newly_made=False)


async def test_a_start_looks_at_every_table_that_holds_secrets(database: Database) -> None:
    one, two = SecretBox([ONE]), SecretBox([TWO])
    org_id, credential_id = await credential(database, two)
    await OAuthAppStore(database, one).create(
        org_id,
        provider="github",
        name="app",
        client_id="Iv1",
        properties=Properties(shown={}, secrets={"client_secret": Secret("s")}),
        redirect_uris=[],
        metadata={},
    )
    with pytest.raises(SecretError, match=secret_key_id(ONE)):
        await check_secret_keys(database, two, newly_made=False)
    await database.execute("DELETE FROM oauth_apps")
    await check_secret_keys(database, two, newly_made=False)
    (row,) = await database.fetch("SELECT credential_no FROM credentials")
    token = Token(Secret("ghs_1"), {}, 3600.0)
    await GrantStore(database, one).begin(org_id, credential_id, credential_no=row["credential_no"], token=token)
    with pytest.raises(SecretError, match=secret_key_id(ONE)):
        await check_secret_keys(database, two, newly_made=False)
    # A secret of another place cannot be brought here.
    both = GrantStore(database, SecretBox([ONE, TWO]))
    assert (await both.get(org_id, credential_id)) is not None
    await database.execute("UPDATE grants SET secrets = c.secrets, secret_key_id = c.secret_key_id FROM credentials c")
    with pytest.raises(SecretError, match=r"grants\.secrets .* was changed or moved"):
        await both.get(org_id, credential_id)


async def test_a_rotated_key_still_finds_the_account(database: Database) -> None:
    """What was imported under the old key is found under the new one, by any of the fingerprints."""
    organisation, _ = await OrganisationStore(database).create("org")
    old, new = SecretBox([ONE]), SecretBox([TWO, ONE])
    (print_then,) = old.fingerprints(b"content")
    fields: dict[str, Any] = {"provider": "stripe", "kind": "stripe_key"}
    made = await CredentialStore(database, old).create(
        organisation.org_id,
        **fields,
        account=f"key:{print_then}",
        secret_print=print_then,
        name=None,
        properties=Properties(shown={}, secrets={}),
        metadata={},
    )
    prints = new.fingerprints(b"content")
    found = await CredentialStore(database, new).find(
        organisation.org_id, **fields, accounts=[f"key:{each}" for each in prints], secret_prints=prints
    )
    assert found is not None
    assert found.credential_id == made.credential_id
