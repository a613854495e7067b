"""After a rotation the old key is needed for nothing, and every account is still known."""

import uuid
from collections.abc import Mapping
from typing import Any

from tests.support.hub_side import INSTALLATION, app_pem

from springline.domain.credentials import Properties, split_properties
from springline.domain.oauth_apps import OAuthApp
from springline.domain.secrets import Secret
from springline.engine.connect import Verified
from springline.engine.credentials import CredentialImporter, Imported, Presented
from springline.engine.key_rotation import Rotated, rotate_keys
from springline.providers.registry import PROVIDERS
from springline.providers.vocabulary import Account, CredentialKind, Provider
from springline.store.credentials import CredentialStore
from springline.store.database import Database
from springline.store.grants import GrantStore, Token
from springline.store.oauth_apps import OAuthAppStore
from springline.store.organisations import OrganisationStore
from springline.store.secret_rotation import SecretRotation
from springline.store.secrets import SecretBox, check_secret_keys

OLD, NEW = bytes(range(32)), bytes(range(1, 33))


class Process:
    """One with its own list of keys; `account` is what Stripe says of every key."""

    def __init__(self, database: Database, keys: list[bytes], *, account: str | None = None) -> None:
        self.database = database
        self.box = SecretBox(keys)
        self.credentials = CredentialStore(database, self.box)
        self.apps = OAuthAppStore(database, self.box)
        self.grants = GrantStore(database, self.box)
        self._account = None if account is None else Account(identity=account)
        self._importer = CredentialImporter(
            self.credentials, self.box, self._verify, apps=self.apps, grants=self.grants
        )

    async def _verify(
        self,
        provider: Provider,
        kind: CredentialKind,
        properties: Mapping[str, Any],
        app: Mapping[str, Any] | None = None,
        *,
        credential_no: int | None = None,
    ) -> Verified:
        return Verified(account=self._account)

    async def import_one(
        self, org_id: uuid.UUID, kind_name: str, properties: dict[str, Any], app: OAuthApp | None = None
    ) -> Imported:
        provider = next(each for each in PROVIDERS.values() if each.find_kind(kind_name))
        kind = provider.find_kind(kind_name)
        assert kind is not None
        presented = Presented(provider, kind, split_properties(properties, kind.secret_names), {}, app)
        return await self._importer.import_credential(org_id, presented, verify=True, replace=False)

    async def rotate(self) -> Rotated:
        return await rotate_keys(SecretRotation(self.database, self.box), self.box, PROVIDERS)


async def test_the_old_key_can_go(database: Database) -> None:
    organisation, _ = await OrganisationStore(database).create("ours")
    org_id = organisation.org_id
    before, known_before = Process(database, [OLD]), Process(database, [OLD], account="acct_1")
    app = await before.apps.create(
        org_id,
        provider="github",
        name="app",
        client_id="Iv1",
        properties=Properties(shown={"app_id": 1}, secrets={"private_key": Secret(app_pem())}),
        redirect_uris=[],
        metadata={},
    )
    stripe: dict[str, dict[str, Any]] = {"nobody's": {"secret": "sk_test_1"}, "restricted": {"secret": "rk_test_2"}}
    nobodys = await before.import_one(org_id, "stripe_key", stripe["nobody's"])
    restricted = await known_before.import_one(org_id, "stripe_key", stripe["restricted"])
    installed = await before.import_one(org_id, "github_app", {"installation_id": INSTALLATION}, app)
    token = Token(Secret("ghs_1"), {}, 3600.0)
    ours = installed.credential
    await before.grants.begin(org_id, ours.credential_id, credential_no=ours.credential_no, token=token)

    both = Process(database, [NEW, OLD])
    assert await both.rotate() == Rotated(credentials=3, oauth_apps=1, tokens=1)
    assert await both.rotate() == Rotated(0, 0, 0)

    after, known_after = Process(database, [NEW]), Process(database, [NEW], account="acct_1")
    await check_secret_keys(database, after.box, newly_made=False)
    again = [
        await after.import_one(org_id, "stripe_key", stripe["nobody's"]),
        await known_after.import_one(org_id, "stripe_key", stripe["restricted"]),
        await after.import_one(org_id, "github_app", {"installation_id": INSTALLATION}, app),
    ]
    assert [each.created for each in again] == [False] * 3
    ids = [each.credential.credential_id for each in (nobodys, restricted, installed)]
    assert [each.credential.credential_id for each in again] == ids
    # Another restricted key of the account is still another credential.
    assert (await known_after.import_one(org_id, "stripe_key", {"secret": "rk_test_3"})).created
    held = await after.grants.get(org_id, ids[2])
    assert held is not None
    assert held.properties["access_token"] == "ghs_1"
    clear = await after.apps.properties(org_id, [app.oauth_app_id])
    assert clear[app.oauth_app_id].reveal()["private_key"] == app_pem()


async def test_what_is_replaced_meanwhile_is_left_alone(database: Database) -> None:
    organisation, _ = await OrganisationStore(database).create("ours")
    old, both = Process(database, [OLD]), Process(database, [NEW, OLD])
    imported = await old.import_one(organisation.org_id, "stripe_key", {"secret": "sk_test_1"})
    rotation = SecretRotation(database, both.box)
    ours = imported.credential

    async def replaced() -> None:
        properties = Properties(shown={}, secrets={"secret": Secret("sk_test_2")})
        await old.credentials.replace(
            ours.org_id, ours.credential_id, account=ours.account, secret_print="print", properties=properties
        )

    (row,) = await rotation._list("list_old_credentials", 0)
    await replaced()
    assert await rotation._rewrite_credential(row, lambda *_: None) == 0
    found = await both.credentials.properties(ours.org_id, ours.credential_id)
    assert found is not None
    assert found.reveal() == {"secret": "sk_test_2"}
    assert await rotation.credentials(lambda *_: None) == 1
