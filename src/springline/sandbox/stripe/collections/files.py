"""Files, links to them, and endpoints for webhooks."""

from random import Random

from springline.sandbox.stripe.collection import Collection, equals
from springline.sandbox.stripe.collections import samples
from springline.sandbox.stripe.collections.operations import creation, modification, removal, seeding
from springline.sandbox.stripe.errors import StripeError
from springline.sandbox.stripe.params import Params, boolean, list_of, metadata, text, timestamp
from springline.sandbox.stripe.texts import Object
from springline.sandbox.stripe.writes import Given, Write


def _seed_file(write: Write, rng: Random) -> Object:
    """What the API uploads at another host is made here."""
    file = write.blank("file")
    file |= {
        "filename": f"evidence-{rng.randrange(10**6)}.pdf",
        "purpose": rng.choice(("dispute_evidence", "identity_document", "business_icon")),
        "size": rng.randrange(1_000, 5_000_000),
        "url": f"https://files.stripe.com/v1/files/{file['id']}/contents",
    }
    return write.insert("file", file)


FILE = Collection(
    name="file",
    path="files",
    id_prefix="file_1",
    id_length=23,
    event_prefix="file",
    events=("created",),
    fields={
        "created": Given.NOW,
        "expires_at": None,
        "filename": None,
        "links": None,
        "purpose": "dispute_evidence",
        "size": 0,
        "title": None,
        "type": "pdf",
        "url": None,
    },
    filters={"purpose": equals("purpose", text(unsettable=False))},
    seed=_seed_file,
)


def _complete_link(write: Write, link: Object, params: Params) -> None:
    if "file" in params:
        write.named("file", params["file"], param="file")
        mode = "live" if link["livemode"] else "test"
        link["url"] = f"https://files.stripe.com/links/{write.account.id}_{mode}_{write.new_id('', 24)}"
    if link["expires_at"] == "now":
        link |= {"expired": True, "expires_at": write.now}


_LINK_UPDATES = {"expires_at": timestamp(now_allowed=True), "metadata": metadata()}
_LINK = creation(
    "file_link", {**_LINK_UPDATES, "file": text(unsettable=False)}, needs=("file",), complete=_complete_link
)

FILE_LINK = Collection(
    name="file_link",
    path="file_links",
    id_prefix="link_1",
    id_length=23,
    event_prefix="file_link",
    events=(),
    fields={
        "created": Given.NOW,
        "expired": False,
        "expires_at": None,
        "file": "",
        "livemode": Given.LIVEMODE,
        "metadata": {},
        "url": None,
    },
    filters={"expired": equals("expired", boolean()), "file": equals("file", text(unsettable=False))},
    create=_LINK,
    update=modification("file_link", _LINK_UPDATES, complete=_complete_link),
    seed=seeding(
        _LINK,
        lambda write, rng: {
            "file": samples.some_id(write, "file", rng),
            "metadata": samples.crm_metadata(rng),
        },
    ),
    sample_update=samples.labelled,
)


def _complete_endpoint(write: Write, endpoint: Object, params: Params) -> None:
    if "url" in params and not params["url"].startswith(("https://", "http://")):
        raise StripeError("Invalid URL: An explicit scheme (such as https) must be provided.", param="url")
    if "disabled" in params:
        endpoint["status"] = "disabled" if params["disabled"] else "enabled"
    endpoint["api_version"] = endpoint["api_version"] or write.api_version


_ENDPOINT_UPDATES = {
    "description": text(),
    "enabled_events": list_of(text(unsettable=False)),
    "metadata": metadata(),
    "url": text(unsettable=False),
}
_ENDPOINT = creation(
    "webhook_endpoint",
    {**_ENDPOINT_UPDATES, "api_version": text(), "connect": boolean()},
    needs=("enabled_events", "url"),
    complete=_complete_endpoint,
    # Said once, never stored: no read shows it again.
    after=lambda write, endpoint, _: endpoint.update(secret=write.new_id("whsec_", 32)),
)

WEBHOOK_ENDPOINT = Collection(
    name="webhook_endpoint",
    path="webhook_endpoints",
    id_prefix="we_1",
    id_length=23,
    event_prefix="webhook_endpoint",
    events=(),
    fields={
        "api_version": None,
        "application": None,
        "created": Given.NOW,
        "description": None,
        "enabled_events": [],
        "livemode": Given.LIVEMODE,
        "metadata": {},
        "status": "enabled",
        "url": "",
    },
    created_filter=False,
    create=_ENDPOINT,
    update=modification("webhook_endpoint", {**_ENDPOINT_UPDATES, "disabled": boolean()}, complete=_complete_endpoint),
    delete=removal("webhook_endpoint"),
    seed=seeding(
        _ENDPOINT,
        lambda _, rng: {
            "description": samples.label(rng),
            "enabled_events": rng.choice((["*"], ["customer.created", "invoice.paid"])),
            "metadata": samples.crm_metadata(rng),
            "url": f"https://example.com/hooks/{rng.randrange(10**6)}",
        },
    ),
    sample_update=samples.described,
)
