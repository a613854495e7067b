"""Labels and milestones: what issues are sorted by."""

from random import Random

from springline.sandbox.github.collection import Call, Collection, Listing, Object, Operation, Read
from springline.sandbox.github.collections import parts
from springline.sandbox.github.errors import already_exists
from springline.sandbox.github.params import text, word
from springline.sandbox.github.tables import Row
from springline.sandbox.github.world import World, iso


def _label(world: World, row: Row) -> Object:
    return {
        "id": row["id"],
        "node_id": f"LA_{row['id']}",
        "url": f"{parts.url_of(world, row)}/labels/{row['name']}",
        "name": row["name"],
        "color": row["color"],
        "default": row.get("default", False),
        "description": row.get("description"),
        "archived_at": None,
        "archived_by": None,
    }


def _create_label(call: Call) -> Row:
    if call.world["label"].find(call.repository["id"], call.params["name"]) is not None:
        raise already_exists("Label", "name")
    return call.world.insert(
        "label", call.repository, now=call.now, **{"color": "ededed", "description": None, **call.params}
    )


def _update_label(call: Call) -> Row:
    """A label's new name or colour shows on every issue that has it; their `updated_at` stays."""
    params, row = dict(call.params), call.rows["label"]
    name = params.pop("new_name", None) or row["name"]
    other = call.world["label"].find(call.repository["id"], name)
    if other is not None and other["id"] != row["id"]:
        raise already_exists("Label", "name")
    return call.world.change("label", row, **{**params, "name": name}, updated=call.now)


def _remove_label(call: Call, row: Row) -> bool:
    world = call.world
    for issue in world["issue"].in_scope(row["scope"]):
        if row["id"] in issue["labels"]:
            world.change("issue", issue, labels=[each for each in issue["labels"] if each != row["id"]])
    world.remove("label", row)
    return True


def _delete_label(call: Call) -> None:
    _remove_label(call, call.rows["label"])


def _seed_label(call: Call, rng: Random) -> Row:
    return call.world.insert(
        "label",
        call.repository,
        now=call.now,
        name=f"{rng.choice(parts.WORDS)} {call.world.next_number(call.repository['id'], 'label')}",
        color=f"{rng.randrange(2**24):06x}",
        description=parts.title(rng),
    )


def _change_label(call: Call, row: Row, rng: Random) -> Row:
    if rng.random() < 0.5:
        return call.world.change("label", row, description=parts.title(rng), updated=call.now)
    name = f"{rng.choice(parts.WORDS)} {call.world.next_number(row['scope'], 'label')}"
    return call.world.change("label", row, name=name, updated=call.now)


_LABEL = {"name": text(required=True), "color": text(), "description": text()}

LABEL = Collection(
    name="label",
    docs="issues/labels",
    permission="issues",
    parent="repository",
    key="name",
    shape=_label,
    listings=(
        Listing(path="repos/{repository}/labels", rows=parts.in_repository("label")),
        Listing(
            path="repos/{repository}/issues/{issue}/labels",
            rows=lambda call: [call.world.row("label", each) for each in call.rows["issue"]["labels"]],
        ),
    ),
    reads=(Read(path="repos/{repository}/labels/{label}"),),
    operations=(
        Operation(
            method="POST",
            path="repos/{repository}/labels",
            run=_create_label,
            takes=_LABEL,
            status=201,
            kind="create",
        ),
        Operation(
            method="PATCH",
            path="repos/{repository}/labels/{label}",
            run=_update_label,
            takes={"new_name": text(), "color": text(), "description": text()},
            kind="update",
        ),
        Operation(
            method="DELETE",
            path="repos/{repository}/labels/{label}",
            run=_delete_label,
            status=204,
            kind="delete",
        ),
    ),
    first_id=208_045_946,
    seed=_seed_label,
    sample_update=_change_label,
    remove=_remove_label,
)


def _milestone(world: World, row: Row) -> Object:
    url = f"{parts.url_of(world, row)}/milestones/{row['number']}"
    issues = [issue["state"] for issue in world["issue"].in_scope(row["scope"]) if issue["milestone"] == row["id"]]
    return {
        "url": url,
        "html_url": f"{parts.web_of(world, row)}/milestone/{row['number']}",
        "labels_url": f"{url}/labels",
        "id": row["id"],
        "node_id": f"MI_{row['id']}",
        "number": row["number"],
        "title": row["title"],
        "description": row.get("description"),
        "creator": world.account(row["author"]),
        "open_issues": issues.count("open"),
        "closed_issues": issues.count("closed"),
        "state": row["state"],
        **parts.times(row),
        "due_on": iso(row.get("due")),
        "closed_at": iso(row.get("closed")),
    }


def _milestone_values(call: Call) -> Row:
    values = dict(call.params)
    if "due_on" in values:
        due = values.pop("due_on")
        values["due"] = None if due is None else int(parts.moment(due))
    if "state" in values:
        values["closed"] = call.now if values["state"] == "closed" else None
    return values


def make_milestone(call: Call, repository: Row, **values: object) -> Row:
    number = call.world.next_number(repository["id"], "milestone")
    fields = {"state": "open", "author": call.actor["id"], **values}
    return call.world.insert("milestone", repository, now=call.now, number=number, **fields)


def _create_milestone(call: Call) -> Row:
    values = _milestone_values(call)
    if any(row["title"] == values["title"] for row in call.world["milestone"].in_scope(call.repository["id"])):
        raise already_exists("Milestone", "title")
    return make_milestone(call, call.repository, **values)


def _update_milestone(call: Call) -> Row:
    return call.world.change("milestone", call.rows["milestone"], **_milestone_values(call), updated=call.now)


def _remove_milestone(call: Call, row: Row) -> bool:
    for issue in call.world["issue"].in_scope(row["scope"]):
        if issue["milestone"] == row["id"]:
            call.world.change("issue", issue, milestone=None)
    call.world.remove("milestone", row)
    return True


def _delete_milestone(call: Call) -> None:
    _remove_milestone(call, call.rows["milestone"])


def _seed_milestone(call: Call, rng: Random) -> Row:
    due = call.now + 86_400 * rng.randrange(1, 90) if rng.random() < 0.5 else None
    return make_milestone(call, call.repository, title=parts.title(rng), description=parts.body(rng), due=due)


def _change_milestone(call: Call, row: Row, rng: Random) -> Row:
    return call.world.change("milestone", row, description=parts.body(rng), updated=call.now)


_MILESTONE = {"title": text(), "state": word("open", "closed"), "description": text(), "due_on": text()}

MILESTONE = Collection(
    name="milestone",
    docs="issues/milestones",
    permission="issues",
    parent="repository",
    key="number",
    shape=_milestone,
    listings=(
        Listing(
            path="repos/{repository}/milestones",
            rows=parts.in_repository("milestone"),
            sorts={
                # One without a date comes last.
                "due_on": lambda row: row.get("due") or 2**40,
                "completeness": lambda row: row["state"],
            },
            sorted_by_caller=True,
            filters={"state": parts.state_filter()},
        ),
    ),
    reads=(Read(path="repos/{repository}/milestones/{milestone}"),),
    operations=(
        Operation(
            method="POST",
            path="repos/{repository}/milestones",
            run=_create_milestone,
            takes={**_MILESTONE, "title": text(required=True)},
            status=201,
            kind="create",
        ),
        Operation(
            method="PATCH",
            path="repos/{repository}/milestones/{milestone}",
            run=_update_milestone,
            takes=_MILESTONE,
            kind="update",
        ),
        Operation(
            method="DELETE",
            path="repos/{repository}/milestones/{milestone}",
            run=_delete_milestone,
            status=204,
            kind="delete",
        ),
    ),
    first_id=1_002_604,
    seed=_seed_milestone,
    sample_update=_change_milestone,
    remove=_remove_milestone,
)
