"""Bringing everything that is encrypted under the first secret key, so that the others can go."""

from collections.abc import Mapping
from typing import NamedTuple

from springline.domain.credentials import Properties, is_known, keyed_account, redistinguished
from springline.engine.credentials import secret_prints
from springline.providers.vocabulary import Provider
from springline.store.secret_rotation import Names, SecretRotation
from springline.store.secrets import SecretBox


class Rotated(NamedTuple):
    """How many of each were rewritten."""

    credentials: int
    oauth_apps: int
    tokens: int


async def rotate_keys(rotation: SecretRotation, box: SecretBox, providers: Mapping[str, Provider]) -> Rotated:
    """Rewrites what other keys than the box's first encrypt, and what tells credentials apart by a keyed hash. May be
    broken off and begun again, and servers may run meanwhile. Raises SecretError."""

    def rename(provider_name: str, kind_name: str, account: str, properties: Properties) -> Names | None:
        provider = providers.get(provider_name)
        kind = provider.find_kind(kind_name) if provider is not None else None
        if provider is None or kind is None:
            return None
        clear = properties.reveal()
        prints = secret_prints(box, provider, kind, properties, identity=kind.account_of(clear))
        if not is_known(account):
            return Names(prints[0], keyed_account(prints[0]))
        distinction = kind.identity_of(clear)
        if distinction is None:
            return Names(prints[0], account)
        return Names(prints[0], redistinguished(account, box.fingerprints(distinction.encode())[0]))

    return Rotated(
        credentials=await rotation.credentials(rename),
        oauth_apps=await rotation.oauth_apps(),
        tokens=await rotation.grants(),
    )
