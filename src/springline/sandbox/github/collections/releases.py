"""Releases and their assets."""

from random import Random

from springline.sandbox.github.collection import Call, Collection, Listing, Object, Operation, Read
from springline.sandbox.github.collections import parts
from springline.sandbox.github.collections.pushes import head_of, some_history
from springline.sandbox.github.errors import already_exists, not_found
from springline.sandbox.github.params import boolean, text
from springline.sandbox.github.tables import Row
from springline.sandbox.github.world import World, iso


def _release(world: World, row: Row) -> Object:
    url, web, tag = parts.url_of(world, row), parts.web_of(world, row), row["tag"]
    own = f"{url}/releases/{row['id']}"
    return {
        "url": own,
        "assets_url": f"{own}/assets",
        "upload_url": f"{own.replace('api.', 'uploads.', 1)}/assets{{?name,label}}",
        "html_url": f"{web}/releases/tag/{tag}",
        "id": row["id"],
        "author": world.account(row["author"]),
        "node_id": f"RE_{row['id']}",
        "tag_name": tag,
        "target_commitish": row["target"],
        "name": row["name"],
        "draft": row["draft"],
        "immutable": False,
        "prerelease": row["prerelease"],
        **parts.times(row),
        "published_at": iso(row["published"]),
        "assets": [world.embedded("release_asset", each["id"]) for each in world["release_asset"].children(row["id"])],
        "tarball_url": f"{url}/tarball/{tag}",
        "zipball_url": f"{url}/zipball/{tag}",
        "body": row["body"],
    }


def _publish(call: Call, row: Row) -> Row:
    """A release that is no draft has its tag, and a day on which it came out."""
    if row["draft"]:
        return row
    if call.world["tag"].find(call.repository["id"], row["tag"]) is None:
        head = head_of(call.world, call.repository, row["target"])
        call.world.insert("tag", call.repository, now=call.now, name=row["tag"], sha=head["sha"])
    return call.world.change("release", row, published=row["published"] or call.now)


def _values(call: Call) -> Row:
    values = dict(call.params)
    for given, field in (("tag_name", "tag"), ("target_commitish", "target")):
        if given in values:
            values[field] = values.pop(given)
    return values


def _check_tag(call: Call, tag: str, *, but: int | None = None) -> None:
    for row in call.world["release"].in_scope(call.repository["id"]):
        if row["tag"] == tag and row["id"] != but and not row["draft"]:
            raise already_exists("Release", "tag_name")


def make_release(call: Call, repository: Row, *, tag: str, **values: object) -> Row:
    fields = {
        "name": None, "body": None, "draft": False, "prerelease": False, "target": repository["default_branch"],
        "author": call.actor["id"], "published": None, **values,
    }  # fmt: skip
    tagged = call.world["tag"].find(repository["id"], tag)
    commit = head_of(call.world, repository, tag if tagged is not None else str(fields["target"]))
    row = call.world.insert("release", repository, now=call.now, tag=tag, **fields)
    # A release is dated by its commit. docs.github.com/rest/releases/releases, seen 2026-11.
    return _publish(call, call.world.change("release", row, created=commit["committed"]))


def _create(call: Call) -> Row:
    values = _values(call)
    _check_tag(call, values["tag"])
    return make_release(call, call.repository, **values)


def _update(call: Call) -> Row:
    values, row = _values(call), call.rows["release"]
    if "tag" in values:
        _check_tag(call, values["tag"], but=row["id"])
    return _publish(call, call.world.change("release", row, **values, updated=call.now))


def _delete(call: Call) -> None:
    _remove(call, call.rows["release"])


def _remove(call: Call, row: Row) -> bool:
    """The tag stays."""
    call.world.remove("release", row)
    return True


def _latest(call: Call) -> Row:
    whole = [
        row
        for row in call.world["release"].in_scope(call.repository["id"])
        if not row["draft"] and not row["prerelease"]
    ]
    if not whole:
        raise not_found("releases/releases")
    return max(whole, key=lambda row: (row["created"], row["id"]))


def _by_tag(call: Call) -> Row:
    for row in call.world["release"].in_scope(call.repository["id"]):
        if row["tag"] == call.parts["tag_name"] and not row["draft"]:
            return row
    raise not_found("releases/releases")


def _seed(call: Call, rng: Random) -> Row:
    world, repository = call.world, call.repository
    some_history(call, rng)
    tag = f"v1.{world.next_number(repository['id'], 'release')}.{rng.randrange(10)}"
    return make_release(
        call, repository, tag=tag, name=parts.title(rng), body=parts.body(rng), draft=rng.random() < 0.1,
        prerelease=rng.random() < 0.2,
    )  # fmt: skip


def _sample_update(call: Call, row: Row, rng: Random) -> Row:
    return call.world.change("release", row, body=parts.body(rng), updated=call.now)


_RELEASE = {
    "tag_name": text(), "target_commitish": text(), "name": text(), "body": text(), "draft": boolean(),
    "prerelease": boolean(),
}  # fmt: skip
_ONE = "repos/{repository}/releases/{release}"

RELEASE = Collection(
    name="release",
    docs="releases/releases",
    permission="contents",
    parent="repository",
    shape=_release,
    listings=(
        Listing(
            path="repos/{repository}/releases",
            rows=parts.in_repository("release"),
            sorts={"created": parts.newest_first},
            direction="desc",
        ),
    ),
    reads=(
        Read(path=_ONE),
        Read(path="repos/{repository}/releases/latest", answer=_latest),
        Read(path="repos/{repository}/releases/tags/{tag_name...}", answer=_by_tag),
    ),
    operations=(
        Operation(
            method="POST",
            path="repos/{repository}/releases",
            run=_create,
            takes={**_RELEASE, "tag_name": text(required=True)},
            status=201,
            kind="create",
        ),
        Operation(method="PATCH", path=_ONE, run=_update, takes=_RELEASE, kind="update"),
        Operation(method="DELETE", path=_ONE, run=_delete, status=204, kind="delete"),
    ),
    first_id=140_000_000,
    seed=_seed,
    sample_update=_sample_update,
    remove=_remove,
)


def _asset(world: World, row: Row) -> Object:
    release = world.row("release", row["parent"])
    return {
        "url": f"{parts.url_of(world, row)}/releases/assets/{row['id']}",
        "id": row["id"],
        "node_id": f"RA_{row['id']}",
        "name": row["name"],
        "label": row["label"],
        "uploader": world.account(row["author"]),
        "content_type": row["content_type"],
        "state": "uploaded",
        "size": row["size"],
        "digest": row["digest"],
        "download_count": row["downloads"],
        **parts.times(row),
        "browser_download_url": f"{parts.web_of(world, row)}/releases/download/{release['tag']}/{row['name']}",
    }


def _update_asset(call: Call) -> Row:
    return call.world.change("release_asset", call.rows["release_asset"], **call.params, updated=call.now)


def _delete_asset(call: Call) -> None:
    _remove_asset(call, call.rows["release_asset"])


def _remove_asset(call: Call, row: Row) -> bool:
    call.world.remove("release_asset", row)
    return True


def _seed_asset(call: Call, rng: Random) -> Row:
    """What an upload makes; the sandbox takes none."""
    number = call.world.new_id("release_asset")
    return call.world.insert(
        "release_asset", call.rows["release"], now=call.now, id=number, name=f"{rng.choice(parts.WORDS)}-{number}.zip",
        label="", author=call.actor["id"], content_type="application/zip", size=rng.randrange(10**7), downloads=0,
        digest=f"sha256:{rng.randrange(2**256):064x}",
    )  # fmt: skip


def _change_asset(call: Call, row: Row, rng: Random) -> Row:
    return call.world.change("release_asset", row, label=parts.title(rng), updated=call.now)


_ASSET = "repos/{repository}/releases/assets/{release_asset}"

RELEASE_ASSET = Collection(
    name="release_asset",
    docs="releases/assets",
    permission="contents",
    parent="release",
    shape=_asset,
    listings=(
        Listing(path="repos/{repository}/releases/{release}/assets", rows=parts.below("release_asset", "release")),
    ),
    reads=(Read(path=_ASSET),),
    operations=(
        Operation(
            method="PATCH", path=_ASSET, run=_update_asset, takes={"name": text(), "label": text()}, kind="update"
        ),
        Operation(method="DELETE", path=_ASSET, run=_delete_asset, status=204, kind="delete"),
    ),
    first_id=170_000_000,
    seed=_seed_asset,
    sample_update=_change_asset,
    remove=_remove_asset,
)
