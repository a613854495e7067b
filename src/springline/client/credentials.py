"""Credentials: accounts' secrets. The API answers them masked."""

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET, UnsetType

from springline.client.connection import Connection, segment
from springline.client.objects import Credential, Listing

Properties = Mapping[str, Any]


class Credentials:
    """Every method raises ClientError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def list(
        self,
        *,
        provider: str | UnsetType = UNSET,
        kind: str | UnsetType = UNSET,
        health: str | UnsetType = UNSET,
        metadata: Properties | UnsetType = UNSET,
    ) -> Listing[Credential]:
        """Those that match all filters; `metadata` matches what contains it."""
        filters = {"provider": provider, "kind": kind, "health.status": health, "metadata": metadata}
        return await self._connection.listing("/v1/credentials", Credential, filters)

    async def get(self, credential_id: str) -> Credential:
        return await self._connection.get(f"/v1/credentials/{segment(credential_id)}", Credential)

    async def create(
        self,
        properties: Properties,
        *,
        name: str | UnsetType = UNSET,
        oauth_app_id: str | UnsetType = UNSET,
        metadata: Properties | UnsetType = UNSET,
        verify: bool = True,
        replace: bool = False,
    ) -> Credential:
        """`properties` hold `kind` and its fields. The same account again gives the same credential. With `verify` the
        provider is asked whether it lives; with `replace` new properties win even unverified."""
        query = {"verify": UNSET if verify else "false", "replace": "true" if replace else UNSET}
        body = {"properties": properties, "name": name, "oauth_app_id": oauth_app_id, "metadata": metadata}
        answer = await self._connection.request("POST", "/v1/credentials", query=query, body=body)
        return self._connection.read(answer, Credential)

    async def update(
        self,
        credential_id: str,
        *,
        name: str | UnsetType = UNSET,
        properties: Properties | UnsetType = UNSET,
        metadata: Properties | UnsetType = UNSET,
    ) -> Credential:
        """Fields left out stay as they are; `properties` of the same kind and account replace a dead key."""
        body = {"name": name, "properties": properties, "metadata": metadata}
        return await self._connection.patch(f"/v1/credentials/{segment(credential_id)}", body, Credential)

    async def delete(self, credential_id: str) -> None:
        await self._connection.request("DELETE", f"/v1/credentials/{segment(credential_id)}")
