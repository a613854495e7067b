"""The API's reference as one HTML page: no script, nothing from elsewhere."""

import html
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from springline.domain.errors import ERROR_CODES

_METHODS: Final = ("get", "post", "patch", "delete", "put")
#: Said once, not at every endpoint.
_SHARED: Final = ("400", "401", "413", "415", "500", "503")

#: What each code means and what to do, for the table that `docs` of an error points to.
MEANINGS: Final[dict[str, str]] = {
    "body.not_json": "The body cannot be read as JSON, or is missing.",
    "body.too_large": "The body is larger than 8 MiB. Send less at once.",
    "body.not_application_json": "Send the body with `Content-Type: application/json`.",
    "token.missing": "Send `Authorization: Bearer <API token>`.",
    "token.unknown": "The token was revoked, or is not one of this installation.",
    "token.not_found": "The organisation has no API token of this id.",
    "route.not_found": "There is nothing at this path.",
    "route.method_not_allowed": "The path exists; the `Allow` header names the methods that it takes.",
    "stream.not_found": "The organisation has no stream of this id.",
    "stream.slug_taken": "Slugs are unique in an organisation. Choose another.",
    "stream.in_use": "Syncs write to the stream, or records of a deleted one are still leaving it. "
    "Delete the syncs and try again.",
    "sync.not_found": "The organisation has no sync of this id, or it was deleted.",
    "sync.not_running": "The sync is disabled or deleted, or no worker has taken it up yet.",
    "hold.not_found": "The sync has no hold of this id.",
    "hold.decided": "The hold was applied or discarded before; what was decided stays.",
    "credential.not_found": "The organisation has no credential of this id.",
    "credential.in_use": "Syncs use the credential, or records of a deleted one are still leaving. "
    "Delete the syncs and try again.",
    "credential.exists": "Another credential of the organisation holds this very key. Use that one.",
    "credential.rejected": "The provider does not let this credential in; `error` has its words.",
    "credential.unverified_replacement": "The account has a credential, and the new properties were not verified. "
    "Leave out `verify=false`, or say `replace=true`.",
    "oauth_app.not_found": "The organisation has no OAuth app of this id.",
    "oauth_app.in_use": "Credentials were made with the OAuth app. Delete them first.",
    "consumer.not_found": "The organisation has no consumer of this id.",
    "consumer.too_many_receivers": "More than 1,000 receivers wait on this consumer. Try again later.",
    "record.not_found": "The organisation has no record of this id.",
    "record.unreadable": "The provider has no way to read one record of this collection; its lists are read as usual.",
    "collection.not_found": "There is no such collection.",
    "provider.not_found": "There is no provider of this name; `GET /v1/providers` lists them.",
    "provider.nonsense": "The provider answered something that makes no sense. Try again later.",
    "provider.timeout": "The provider did not answer in time. Try again later.",
    "request.invalid": "`fields` names everything that is wrong with the body or the query.",
    "service.unavailable": "The database cannot be reached at the moment. Try again in a second.",
    "service.failed": "Something went wrong on our side. The server's log says what.",
}

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --accent: #2563eb }
body { font: 16px/1.55 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 2rem 1.25rem 6rem }
h1 { margin-bottom: .25rem } h2 { border-bottom: 1px solid var(--line); margin-top: 3rem; padding-bottom: .25rem }
h3 { font: 600 1rem/1.4 ui-monospace, monospace; margin: 2rem 0 .25rem; overflow-wrap: anywhere }
h4 { font-size: .85rem; margin: 1rem 0 .25rem; opacity: .75 }
code { font-family: ui-monospace, monospace; font-size: .9em; overflow-wrap: anywhere }
a { color: var(--accent); text-decoration: none } a:hover { text-decoration: underline }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem }
table { border-collapse: collapse; font-size: .9rem; width: 100% }
td, th { border-top: 1px solid var(--line); padding: .35rem .6rem .35rem 0; text-align: left; vertical-align: top }
td:first-child { white-space: nowrap } .method { color: var(--accent) } .soft { opacity: .7 }
:target { background: var(--soft) }
"""


def reference_page(document: Mapping[str, Any]) -> str:
    """The page for an OpenAPI document."""
    schemas: Mapping[str, Any] = document["components"]["schemas"]
    by_tag: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method in _METHODS:
            if method in operations:
                operation = operations[method]
                by_tag.setdefault(operation["tags"][0], []).append(_operation(method, path, operation, schemas))
    links = "".join(f'<a href="#{tag}">{tag}</a>' for tag in (*by_tag, "objects", "errors"))
    sections = "".join(f'<h2 id="{tag}">{tag}</h2>{"".join(parts)}' for tag, parts in by_tag.items())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Springline API</title><style>{_STYLE}</style></head><body>"
        f'<h1>Springline API</h1><p class="soft">Version {_coded(document["info"]["version"])} · '
        '<a href="/openapi.json">openapi.json</a></p>'
        f"<p>{_coded(document['info']['description'])}</p>"
        "<p>Send an API token with every request under <code>/v1</code>: "
        "<code>Authorization: Bearer &lt;token&gt;</code>. JSON in, JSON out; times are ISO 8601 in UTC. "
        "A list is <code>{data, next_cursor}</code>: send <code>next_cursor</code> as <code>cursor</code> "
        "for the next page.</p>"
        f"<p>Beside what stands there, every endpoint may answer {_shared_codes()}.</p>"
        f"<nav>{links}</nav>{sections}"
        f'<h2 id="objects">objects</h2>{"".join(_object(name, schemas[name], schemas) for name in sorted(schemas))}'
        f'<h2 id="errors">errors</h2>{_errors()}</body></html>'
    )


def _operation(method: str, path: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    parts = [
        f'<h3 id="{_coded(operation["operationId"])}"><span class="method">{method.upper()}</span> {_coded(path)}</h3>',
        f"<p>{_coded(operation['summary'])}. {_coded(operation.get('description', ''))}</p>",
    ]
    parameters = [each for each in operation.get("parameters", ()) if each["in"] == "query"]
    if parameters:
        rows = [
            (each["name"], each.get("schema") or each["content"]["application/json"]["schema"], each["required"], each)
            for each in parameters
        ]
        parts.append("<h4>Query</h4>" + _table(rows))
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        parts.append("<h4>Body</h4>" + _fields(_resolve(schema, schemas)))
    answers = []
    for status, response in operation["responses"].items():
        if status in _SHARED and operation["tags"] != ["service"]:
            continue
        schema = response.get("content", {}).get("application/json", {}).get("schema")
        shown = "" if schema is None or int(status) >= 400 else f": {_type(schema)}"
        answers.append(f"<tr><td>{status}</td><td>{_coded(response['description'])}{shown}</td></tr>")
    parts.append(f"<h4>Answers</h4><table>{''.join(answers)}</table>")
    return "".join(parts)


def _object(name: str, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    description = f"<p>{_coded(schema['description'])}</p>" if "description" in schema else ""
    return f'<h3 id="{name}">{name}</h3>{description}{_fields(_resolve(schema, schemas))}'


def _fields(schema: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    return _table([(name, field, name in required, field) for name, field in schema.get("properties", {}).items()])


def _table(rows: list[tuple[str, Mapping[str, Any], bool, Mapping[str, Any]]]) -> str:
    cells = []
    for name, schema, required, described in rows:
        notes = [_coded(each) for each in (_description(described),) if each]
        if schema.get("default") is not None:
            notes.append(f"Default <code>{_coded(_json(schema['default']))}</code>.")
        mark = " <b>required</b>" if required else ""
        cells.append(
            f"<tr><td><code>{_coded(name)}</code></td><td>{_type(schema)}{mark}</td><td>{' '.join(notes)}</td></tr>"
        )
    return f"<table>{''.join(cells)}</table>"


def _description(schema: Mapping[str, Any]) -> str:
    own: str = schema.get("description", "")
    inner = [_description(part) for part in schema.get("anyOf", ())]
    return own or next((each for each in inner if each), "")


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(part) for part in schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(f"<code>{_coded(_json(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return _coded(schema.get("format") or schema.get("type") or "any")


def _shared_codes() -> str:
    codes = [code for code, status in ERROR_CODES.items() if str(status) in _SHARED]
    return ", ".join(f'<a href="#{code}"><code>{code}</code></a>' for code in codes)


def _errors() -> str:
    rows = "".join(
        f'<tr id="{code}"><td><code>{code}</code></td><td>{status}</td><td>{_coded(MEANINGS.get(code, ""))}</td></tr>'
        for code, status in ERROR_CODES.items()
    )
    return f"<table>{rows}</table>"


def _resolve(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in schema:
        resolved: Mapping[str, Any] = schemas[schema["$ref"].rsplit("/", 1)[-1]]
        return resolved
    return schema


def _coded(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
