"""Importing credentials: an upsert by account, and only of what the provider lets in."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from springline.domain.credentials import (
    Credential,
    Properties,
    is_known,
    keyed_account,
    known_account,
    same_account,
)
from springline.domain.errors import Refused
from springline.domain.oauth_apps import OAuthApp
from springline.engine.connect import CredentialVerifier, Rejected, Unverifiable, Verified
from springline.providers.vocabulary import Account, CredentialKind, Provider
from springline.store.credentials import AccountTaken, CredentialStore
from springline.store.grants import GrantStore
from springline.store.oauth_apps import OAuthAppStore
from springline.store.secrets import SecretBox


class Presented(NamedTuple):
    """A credential as somebody presents it; its properties fit its kind. `changes` may name name and metadata. `app` is
    the OAuth app that it was made with."""

    provider: Provider
    kind: CredentialKind
    properties: Properties
    changes: Mapping[str, Any]
    app: OAuthApp | None = None

    @property
    def app_id(self) -> uuid.UUID | None:
        return None if self.app is None else self.app.oauth_app_id


class Imported(NamedTuple):
    """`created` False: the account had a credential, and this is it. `replaced`: with other properties now."""

    credential: Credential
    created: bool
    replaced: bool


class CredentialImporter:
    """Imports credentials into an organisation. `field` names the properties in what is refused."""

    def __init__(
        self,
        store: CredentialStore,
        box: SecretBox,
        verify: CredentialVerifier,
        *,
        apps: OAuthAppStore,
        grants: GrantStore,
    ) -> None:
        self._store = store
        self._box = box
        self._verify = verify
        self._apps = apps
        self._grants = grants

    async def import_credential(
        self, org_id: uuid.UUID, presented: Presented, *, verify: bool, replace: bool, field: str = "properties"
    ) -> Imported:
        """The account's credential: a new one, or the one it had, with its properties replaced if these are others.

        Raises Refused: the provider rejects it (422) or cannot be asked (502, 504); it would replace properties
        without having been verified, and `replace` does not say so (409).
        """
        verified = Verified()
        if verify:
            # The same key once more draws on the quota of the credential that holds it.
            known = await self._find(org_id, presented, self._identity(presented, None))
            verified = await self._ask(org_id, presented, field, known)
        presented = _completed(presented, verified)
        account = verified.account
        identity = self._identity(presented, account)
        while True:
            found = await self._find(org_id, presented, identity)
            try:
                if found is None:
                    imported = await self._create(org_id, presented, identity, account)
                else:
                    updated = await self._update(org_id, found, presented, identity, verified=verify, replace=replace)
                    if updated is None:
                        continue
                    imported = updated
            except AccountTaken:
                # Somebody imported the same account meanwhile: it is found now.
                continue
            await self._keep_token(org_id, imported.credential, verified)
            return imported

    async def replace_properties(
        self, org_id: uuid.UUID, credential: Credential, presented: Presented, *, verify: bool
    ) -> Credential | None:
        """Other properties of the same account; None: the credential is gone. Raises Refused, as above, and if the
        account is another one (422) or has another credential (409)."""
        verified = await self._ask(org_id, presented, "properties", credential) if verify else Verified()
        presented = _completed(presented, verified)
        identity = self._identity(presented, verified.account)
        proposed = identity.accounts[0]
        if not same_account(credential.account, proposed):
            sentence = "belong to another account than this credential's; create a credential of its own for it"
            raise Refused("request.invalid", f"properties {sentence}", fields={"properties": [sentence]})
        if is_known(credential.account) and not is_known(proposed):
            proposed = credential.account
        try:
            replaced = await self._store.replace(
                org_id,
                credential.credential_id,
                account=proposed,
                secret_print=identity.secret_prints[0],
                properties=presented.properties,
                oauth_app_id=presented.app_id,
            )
        except AccountTaken:
            raise Refused("credential.exists", "another credential holds this very key; use that one") from None
        if replaced is not None:
            await self._keep_token(org_id, replaced, verified)
        return replaced

    async def _find(self, org_id: uuid.UUID, presented: Presented, identity: "_Identity") -> Credential | None:
        return await self._store.find(
            org_id,
            provider=presented.provider.name,
            kind=presented.kind.name,
            accounts=identity.accounts,
            secret_prints=identity.secret_prints,
        )

    async def _keep_token(self, org_id: uuid.UUID, credential: Credential, verified: Verified) -> None:
        """What was obtained to try the credential serves its syncs first."""
        if verified.token is not None:
            await self._grants.begin(
                org_id, credential.credential_id, credential_no=credential.credential_no, token=verified.token
            )

    async def _ask(self, org_id: uuid.UUID, presented: Presented, field: str, known: Credential | None) -> Verified:
        app = None
        if presented.app is not None:
            found = await self._apps.properties(org_id, [presented.app.oauth_app_id])
            app = {app_id: properties.reveal() for app_id, properties in found.items()}.get(presented.app.oauth_app_id)
        verdict = await self._verify(
            presented.provider,
            presented.kind,
            presented.properties.reveal(),
            app,
            credential_no=known.credential_no if known is not None else None,
        )
        title = presented.provider.title
        if isinstance(verdict, Rejected):
            raise Refused(
                "credential.rejected",
                f"{title} refuses this credential: {verdict.words}",
                fields={field: [f"were refused by {title}: {verdict.words}"]},
            )
        if isinstance(verdict, Unverifiable):
            code = "provider.timeout" if verdict.timed_out else "provider.nonsense"
            raise Refused(code, f"{title} could not say whether this credential is good: {verdict.words}")
        return verdict

    def _identity(self, presented: Presented, account: Account | None) -> "_Identity":
        clear = presented.properties.reveal()
        kind = presented.kind
        identity = account.identity if account is not None else kind.account_of(clear)
        data_set = kind.data_set_of(clear)
        distinction = kind.identity_of(clear)
        prints = secret_prints(self._box, presented.provider, kind, presented.properties, identity=identity)
        if identity is None:
            return _Identity([keyed_account(each) for each in prints], prints)
        distinctions: Sequence[str | None] = (
            (None,) if distinction is None else self._box.fingerprints(distinction.encode())
        )
        accounts = [known_account(identity, data_set=data_set, distinction=each) for each in distinctions]
        return _Identity(accounts, prints)

    async def _create(
        self, org_id: uuid.UUID, presented: Presented, identity: "_Identity", account: Account | None
    ) -> Imported:
        credential = await self._store.create(
            org_id,
            provider=presented.provider.name,
            kind=presented.kind.name,
            account=identity.accounts[0],
            secret_print=identity.secret_prints[0],
            # Unless it is given one, it is called what the provider calls the account.
            name=presented.changes.get("name") or (account.label if account is not None else None),
            properties=presented.properties,
            metadata=presented.changes.get("metadata", {}),
            oauth_app_id=presented.app_id,
        )
        return Imported(credential, created=True, replaced=False)

    async def _update(
        self,
        org_id: uuid.UUID,
        found: Credential,
        presented: Presented,
        identity: "_Identity",
        *,
        verified: bool,
        replace: bool,
    ) -> Imported | None:
        """None: the credential that was found is gone."""
        credential: Credential | None = found
        stored = await self._store.properties(org_id, found.credential_id)
        changed = stored != presented.properties or found.oauth_app_id != presented.app_id
        if changed and not verified and not replace:
            raise Refused(
                "credential.unverified_replacement",
                "this account has a credential with other properties, and these were not verified; "
                "leave out verify=false, or say replace=true",
            )
        account = identity.accounts[0] if verified or not is_known(found.account) else found.account
        renewed = changed or account != found.account or (verified and found.health.status != "ok")
        if renewed:
            credential = await self._store.replace(
                org_id,
                found.credential_id,
                account=account,
                secret_print=identity.secret_prints[0],
                properties=presented.properties,
                oauth_app_id=presented.app_id,
            )
        if credential is not None and presented.changes:
            credential = await self._store.describe(org_id, found.credential_id, presented.changes)
        return None if credential is None else Imported(credential, created=False, replaced=renewed)


def secret_prints(
    box: SecretBox, provider: Provider, kind: CredentialKind, properties: Properties, *, identity: str | None
) -> tuple[str, ...]:
    """What a credential's secrets are known by, the first key's fingerprint first. Where nothing is secret, it is the
    account's `identity` that tells credentials apart."""
    clear = properties.reveal()
    secrets = sorted((name, secret.reveal()) for name, secret in properties.secrets.items())
    told_apart_by: object = secrets or identity
    content = [provider.name, kind.name, kind.data_set_of(clear), kind.identity_of(clear), told_apart_by]
    return box.fingerprints(msgspec.json.encode(content))


def _completed(presented: Presented, verified: Verified) -> Presented:
    """With the properties that the provider told, where they were left out."""
    properties = presented.properties
    learnt = {name: value for name, value in verified.learnt.items() if name not in properties.shown}
    if not learnt:
        return presented
    return presented._replace(properties=Properties(shown={**properties.shown, **learnt}, secrets=properties.secrets))


class _Identity(NamedTuple):
    """The account that a credential counts as and the fingerprint of its secrets; after each, those that the same
    would have had with another secret key of ours."""

    accounts: Sequence[str]
    secret_prints: Sequence[str]
