"""OAuth apps: the client that a customer's team registered at a provider, and what it authenticates itself with."""

import uuid
from datetime import datetime
from typing import Any

import msgspec

from springline.domain.health import PartHealth


class OAuthApp(msgspec.Struct, frozen=True, kw_only=True):
    """`properties` are what the app has beside its client id; secrets are masked, and read apart."""

    oauth_app_id: uuid.UUID
    org_id: uuid.UUID
    provider: str
    name: str
    client_id: str
    properties: dict[str, Any]
    redirect_uris: list[str]
    metadata: dict[str, Any]
    health: PartHealth
    created_at: datetime
    updated_at: datetime
