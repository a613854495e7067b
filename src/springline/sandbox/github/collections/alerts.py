"""Alerts: of vulnerable dependencies, and of code scanning."""

from random import Random

from springline.sandbox.github.collection import Call, Collection, Filter, Listing, Object, Operation, Read
from springline.sandbox.github.collections import parts
from springline.sandbox.github.errors import GithubError
from springline.sandbox.github.params import text, word
from springline.sandbox.github.tables import Row
from springline.sandbox.github.world import World, iso

_SEVERITIES = ("low", "medium", "high", "critical")
_DEPENDABOT_REASONS = ("fix_started", "inaccurate", "no_bandwidth", "not_used", "tolerable_risk")
_SCANNING_REASONS = ("false positive", "won't fix", "used in tests")


def _dismissal(world: World, row: Row) -> Object:
    return {
        "dismissed_at": iso(row["dismissed"]),
        "dismissed_by": world.account(row["dismissed_by"]),
        "dismissed_reason": row["reason"],
        "dismissed_comment": row["comment"],
        "fixed_at": iso(row["fixed"]),
    }


def _state_values(call: Call) -> Row:
    """What a change of state brings along. Raises GithubError 422 for a dismissal without a reason."""
    state = call.params["state"]
    if state == "dismissed" and not call.params.get("dismissed_reason"):
        raise GithubError("Validation Failed", errors=[{"field": "dismissed_reason", "code": "missing_field"}])
    dismissed = state == "dismissed"
    return {
        "state": state,
        "dismissed": call.now if dismissed else None,
        "dismissed_by": call.actor["id"] if dismissed else None,
        "reason": call.params.get("dismissed_reason") if dismissed else None,
        "comment": call.params.get("dismissed_comment") if dismissed else None,
        "updated": call.now,
    }


_FRESH = {"state": "open", "dismissed": None, "dismissed_by": None, "reason": None, "comment": None, "fixed": None}


def _dependabot_alert(world: World, row: Row) -> Object:
    package = {"ecosystem": "pip", "name": row["package"]}
    vulnerability = {
        "package": package,
        "severity": row["severity"],
        "vulnerable_version_range": "< 2.0.0",
        "first_patched_version": {"identifier": "2.0.0"},
    }
    severity = {"vector_string": None, "score": 5.0}
    return {
        "number": row["number"],
        "state": row["state"],
        "dependency": {
            "package": package,
            "manifest_path": "requirements.txt",
            "scope": "runtime",
            "relationship": "direct",
        },
        "security_advisory": {
            "ghsa_id": row["ghsa"],
            "cve_id": None,
            "summary": row["summary"],
            "description": row["summary"],
            "severity": row["severity"],
            "identifiers": [{"type": "GHSA", "value": row["ghsa"]}],
            "references": [{"url": f"{parts.WEB}/advisories/{row['ghsa']}"}],
            "published_at": iso(row["created"]),
            "updated_at": iso(row["created"]),
            "withdrawn_at": None,
            "vulnerabilities": [vulnerability],
            "cvss": severity,
            "cvss_severities": {"cvss_v3": severity, "cvss_v4": severity},
            "cwes": [{"cwe_id": "CWE-79", "name": "Cross-site Scripting"}],
        },
        "security_vulnerability": vulnerability,
        "url": f"{parts.url_of(world, row)}/dependabot/alerts/{row['number']}",
        "html_url": f"{parts.web_of(world, row)}/security/dependabot/{row['number']}",
        **parts.times(row),
        **_dismissal(world, row),
        "auto_dismissed_at": None,
    }


def _seed_dependabot(call: Call, rng: Random) -> Row:
    letters = "23456789cfghjmpqrvwx"
    ghsa = "-".join(["GHSA", *("".join(rng.choices(letters, k=4)) for _ in range(3))])
    return call.world.insert(
        "dependabot_alert", call.repository, now=call.now,
        number=call.world.next_number(call.repository["id"], "dependabot"), package=rng.choice(parts.WORDS),
        severity=rng.choice(_SEVERITIES), ghsa=ghsa, summary=parts.title(rng), **_FRESH,
    )  # fmt: skip


def _fix(name: str, row: Row, call: Call, rng: Random, reasons: tuple[str, ...]) -> Row:
    """Dismissed, fixed or open again, as it comes."""
    state = rng.choice([each for each in ("open", "dismissed", "fixed") if each != row["state"]])
    dismissed = state == "dismissed"
    return call.world.change(
        name, row, state=state, updated=call.now,
        fixed=call.now if state == "fixed" else None,
        dismissed=call.now if dismissed else None,
        dismissed_by=call.actor["id"] if dismissed else None,
        reason=rng.choice(reasons) if dismissed else None,
        comment=parts.title(rng) if dismissed else None,
    )  # fmt: skip


def _change_dependabot(call: Call, row: Row, rng: Random) -> Row:
    return _fix("dependabot_alert", row, call, rng, _DEPENDABOT_REASONS)


def _check_dependabot(call: Call) -> None:
    """Raises GithubError 403 where the repository has no Dependabot alerts."""
    if call.repository.get("dependabot", "on") == "off":
        raise GithubError("Dependabot alerts are disabled for this repository.", status=403)


def _dependabot_rows(call: Call) -> list[Row]:
    _check_dependabot(call)
    return call.world["dependabot_alert"].in_scope(call.repository["id"])


def _read_dependabot(call: Call) -> Row:
    _check_dependabot(call)
    return call.rows["dependabot_alert"]


def _update_dependabot(call: Call) -> Row:
    _check_dependabot(call)
    return call.world.change("dependabot_alert", call.rows["dependabot_alert"], **_state_values(call))


def _in_list(field: str) -> Filter:
    return Filter(accepts=lambda _, row, wanted: row[field] in wanted.split(","))


_DEPENDABOT = "repos/{repository}/dependabot/alerts/{dependabot_alert}"

DEPENDABOT_ALERT = Collection(
    name="dependabot_alert",
    docs="dependabot/alerts",
    permission="vulnerability_alerts",
    parent="repository",
    key="number",
    shape=_dependabot_alert,
    listings=(
        Listing(
            path="repos/{repository}/dependabot/alerts",
            rows=_dependabot_rows,
            sorts={
                "created": lambda row: row["created"],
                "updated": lambda row: row["updated"],
            },
            direction="desc",
            sorted_by_caller=True,
            filters={"state": _in_list("state"), "severity": _in_list("severity"), "package": _in_list("package")},
            paging="cursor",
        ),
    ),
    reads=(Read(path=_DEPENDABOT, answer=_read_dependabot),),
    operations=(
        Operation(
            method="PATCH",
            path=_DEPENDABOT,
            run=_update_dependabot,
            takes={
                "state": word("open", "dismissed", required=True),
                "dismissed_reason": word(*_DEPENDABOT_REASONS),
                "dismissed_comment": text(),
            },
            kind="update",
        ),
    ),
    first_id=1,
    seed=_seed_dependabot,
    sample_update=_change_dependabot,
)


def _scanning_alert(world: World, row: Row) -> Object:
    url = f"{parts.url_of(world, row)}/code-scanning/alerts/{row['number']}"
    return {
        "number": row["number"],
        **parts.times(row),
        "url": url,
        "html_url": f"{parts.web_of(world, row)}/security/code-scanning/{row['number']}",
        "instances_url": f"{url}/instances",
        "state": row["state"],
        **_dismissal(world, row),
        "rule": {
            "id": row["rule"],
            "severity": "error",
            "description": row["summary"],
            "name": row["rule"],
            "tags": ["security"],
            "security_severity_level": row["severity"],
        },
        "tool": {"name": "CodeQL", "guid": None, "version": "2.4.0"},
        "most_recent_instance": {
            "ref": "refs/heads/main",
            "analysis_key": ".github/workflows/codeql.yml:analyze",
            "environment": "{}",
            "category": ".github/workflows/codeql.yml:analyze",
            "state": row["state"],
            "commit_sha": row["sha"],
            "message": {"text": row["summary"]},
            "location": {"path": "src/app.py", "start_line": 1, "end_line": 1, "start_column": 1, "end_column": 9},
            "classifications": [],
        },
    }


def _check_scanning(call: Call) -> None:
    """Raises GithubError where the repository has no code scanning: 404 if no analysis came, 403 if it is off."""
    setting = call.repository.get("code_scanning", "on")
    if setting == "off":
        raise GithubError(
            "Code scanning is not enabled for this repository. Please enable code scanning in the repository settings.",
            status=403,
        )
    if setting == "empty":
        raise GithubError("no analysis found", status=404)


def _scanning_rows(call: Call) -> list[Row]:
    _check_scanning(call)
    return call.world["code_scanning_alert"].in_scope(call.repository["id"])


def _read_scanning(call: Call) -> Row:
    _check_scanning(call)
    return call.rows["code_scanning_alert"]


def _seed_scanning(call: Call, rng: Random) -> Row:
    return call.world.insert(
        "code_scanning_alert", call.repository, now=call.now, sha=call.world.new_sha(),
        number=call.world.next_number(call.repository["id"], "scanning"),
        rule=f"py/{rng.choice(parts.WORDS)}-injection", severity=rng.choice(_SEVERITIES), summary=parts.title(rng),
        **_FRESH,
    )  # fmt: skip


def _change_scanning(call: Call, row: Row, rng: Random) -> Row:
    return _fix("code_scanning_alert", row, call, rng, _SCANNING_REASONS)


def _update_scanning(call: Call) -> Row:
    _check_scanning(call)
    return call.world.change("code_scanning_alert", call.rows["code_scanning_alert"], **_state_values(call))


_SCANNING = "repos/{repository}/code-scanning/alerts/{code_scanning_alert}"

CODE_SCANNING_ALERT = Collection(
    name="code_scanning_alert",
    docs="code-scanning/code-scanning",
    permission="security_events",
    parent="repository",
    key="number",
    shape=_scanning_alert,
    listings=(
        Listing(
            path="repos/{repository}/code-scanning/alerts",
            rows=_scanning_rows,
            sorts={
                "created": lambda row: row["created"],
                "updated": lambda row: row["updated"],
            },
            direction="desc",
            sorted_by_caller=True,
            filters={"state": parts.field_filter("state"), "severity": parts.field_filter("severity")},
            paging="both",
        ),
    ),
    reads=(Read(path=_SCANNING, answer=_read_scanning),),
    operations=(
        Operation(
            method="PATCH",
            path=_SCANNING,
            run=_update_scanning,
            takes={
                "state": word("open", "dismissed", required=True),
                "dismissed_reason": word(*_SCANNING_REASONS),
                "dismissed_comment": text(),
            },
            kind="update",
        ),
    ),
    first_id=1,
    seed=_seed_scanning,
    sample_update=_change_scanning,
)
