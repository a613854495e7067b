"""OAuth apps: what a team registered at a provider. The API answers their secrets masked, unless asked otherwise."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import UNSET, UnsetType

from springline.client.connection import Connection, segment
from springline.client.objects import Listing, OAuthApp

Metadata = Mapping[str, Any]


class OAuthApps:
    """Every method raises ClientError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def list(
        self,
        *,
        provider: str | UnsetType = UNSET,
        health: str | UnsetType = UNSET,
        metadata: Metadata | UnsetType = UNSET,
        truncate_secrets: bool = True,
    ) -> Listing[OAuthApp]:
        """Those that match all filters; `metadata` matches what contains it."""
        filters = {"provider": provider, "health.status": health, "metadata": metadata}
        return await self._connection.listing("/v1/oauth-apps", OAuthApp, filters | _secrets(truncate_secrets))

    async def get(self, app_id: str, *, truncate_secrets: bool = True) -> OAuthApp:
        answer = await self._connection.request(
            "GET", f"/v1/oauth-apps/{segment(app_id)}", query=_secrets(truncate_secrets)
        )
        return self._connection.read(answer, OAuthApp)

    async def create(
        self,
        provider: str,
        *,
        name: str,
        client_id: str,
        client_secret: str | UnsetType = UNSET,
        app_id: int | str | UnsetType = UNSET,
        private_key: str | UnsetType = UNSET,
        redirect_uris: Sequence[str] | UnsetType = UNSET,
        metadata: Metadata | UnsetType = UNSET,
    ) -> OAuthApp:
        """`app_id` and `private_key` (PEM) are a GitHub App's; with them the client secret may be left out."""
        body = {
            "provider": provider,
            "name": name,
            "client_id": client_id,
            "client_secret": client_secret,
            "app_id": app_id,
            "private_key": private_key,
            "redirect_uris": redirect_uris,
            "metadata": metadata,
        }
        return await self._connection.post("/v1/oauth-apps", body, OAuthApp)

    async def update(
        self,
        app_id: str,
        *,
        name: str | UnsetType = UNSET,
        client_secret: str | UnsetType = UNSET,
        private_key: str | UnsetType = UNSET,
        redirect_uris: Sequence[str] | UnsetType = UNSET,
        metadata: Metadata | UnsetType = UNSET,
    ) -> OAuthApp:
        """Fields left out stay as they are."""
        body = {
            "name": name,
            "client_secret": client_secret,
            "private_key": private_key,
            "redirect_uris": redirect_uris,
            "metadata": metadata,
        }
        return await self._connection.patch(f"/v1/oauth-apps/{segment(app_id)}", body, OAuthApp)

    async def delete(self, app_id: str) -> None:
        await self._connection.request("DELETE", f"/v1/oauth-apps/{segment(app_id)}")


def _secrets(truncate: bool) -> dict[str, object]:
    return {} if truncate else {"truncate_secrets": "false"}
