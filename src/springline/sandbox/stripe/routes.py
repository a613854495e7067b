"""One request to the fake API: arrival, version, key, account, limits, faults, answer."""

import asyncio
import re
from dataclasses import dataclass
from urllib.parse import unquote_plus

from aiohttp import web

from springline.sandbox.common.faults import ActiveFault, LatencyFault, LatePageFault, StatusFault
from springline.sandbox.common.outcomes import Outcome, interrupt, spoil
from springline.sandbox.common.state import Arrival
from springline.sandbox.stripe import resources
from springline.sandbox.stripe.accounts import Account
from springline.sandbox.stripe.answers import Answer, answer_error, answer_value
from springline.sandbox.stripe.delivery import deliver
from springline.sandbox.stripe.errors import StripeError, not_set_up, unknown_url
from springline.sandbox.stripe.fault_effects import ignores_cursor, reshape, sight, status_answer
from springline.sandbox.stripe.forms import Form, read_form
from springline.sandbox.stripe.keys import Key, masked
from springline.sandbox.stripe.paths import Target
from springline.sandbox.stripe.state import StripeSandbox

# Preview features come after the date: "2026-09-30.endive; custom_checkout_beta=v1".
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(\.[a-z_]+)?(; ?[a-z0-9_]+=v\d+)*")


@dataclass(frozen=True, slots=True)
class Call:
    """A request as the routes see it."""

    method: str
    path: str
    parts: tuple[str, ...]
    """The decoded segments of the path below /v1."""
    form: Form
    pairs: tuple[tuple[str, str], ...]
    idempotency_key: str | None


class Api:
    """Answers everything that is not the control API."""

    def __init__(self, sandbox: StripeSandbox) -> None:
        self._sandbox = sandbox

    async def handle(self, request: web.Request) -> web.StreamResponse:
        arrival = self._sandbox.arrive(method=request.method, path=request.path, query=request.rel_url.raw_query_string)
        outcome = Outcome(None)
        try:
            outcome = await self._outcome(request, arrival)
        finally:
            self._sandbox.finish(arrival, status=outcome.answer.status if outcome.answer else 0)
        return await deliver(
            request,
            outcome,
            request_id=arrival.request_id,
            version=arrival.version or self._sandbox.api_version,
            now=self._sandbox.clock.now(),
        )

    async def _outcome(self, request: web.Request, arrival: Arrival) -> Outcome:
        try:
            call = await self._read(request)
            arrival.endpoint = f"{call.method} {self._sandbox.paths.template(call.parts)}"
            arrival.version = self._version(request)
            key = self._sandbox.keys.authenticate(request.headers)
            account = self._account(key, request)
        except StripeError as error:
            return Outcome(answer_error(error))
        arrival.account, arrival.livemode = account.id, account.livemode
        reason = account.limiter.refusal(arrival.endpoint, arrived=arrival.at, unanswered=account.unanswered)
        if reason is not None:
            return Outcome(_rate_limited(account, reason))
        account.unanswered += 1
        try:
            return await self._admitted(call, arrival, key=key, account=account)
        finally:
            account.unanswered -= 1

    async def _admitted(self, call: Call, arrival: Arrival, *, key: Key, account: Account) -> Outcome:
        fired = self._sandbox.faults.fire(call.method, call.path, query=dict(call.pairs), account=account.id)
        arrival.faults = tuple(active.id for active in fired)
        if call.method != "POST" or call.idempotency_key is None:
            return await self._carried_out(call, arrival, fired, key=key, account=account)
        try:
            kept = account.idempotent.begin(
                call.idempotency_key,
                (call.method, call.path, call.pairs),
                now=self._sandbox.clock.now(),
            )
        except StripeError as error:
            return Outcome(answer_error(error))
        if kept is not None:
            return Outcome(
                Answer(
                    status=kept.status,
                    chunk=kept.chunk,
                    headers={**kept.headers, "Idempotent-Replayed": "true"},
                )
            )
        try:
            return await self._carried_out(call, arrival, fired, key=key, account=account)
        finally:
            account.idempotent.drop_unanswered(call.idempotency_key)

    async def _carried_out(
        self, call: Call, arrival: Arrival, fired: list[ActiveFault], *, key: Key, account: Account
    ) -> Outcome:
        if self._sandbox.latency_ms:
            await asyncio.sleep(self._sandbox.latency_ms / 1_000)
        for active in fired:
            if isinstance(active.fault, LatencyFault):
                await active.hold(active.fault.ms / 1_000)

        def error_answer(fault: StatusFault) -> Answer:
            return status_answer(fault, path=call.path)

        instead = await interrupt(fired, applied=False, error_answer=error_answer)
        if instead is not None:
            return instead
        answer = self._answer(call, arrival, fired, key=key, account=account)
        if call.method == "POST" and call.idempotency_key is not None and answer.status == 200:
            answer.headers["Original-Request"] = arrival.request_id
            answer.headers["Idempotency-Key"] = call.idempotency_key
            account.idempotent.keep(call.idempotency_key, answer)
        answer = reshape(answer, fired)
        instead = await interrupt(fired, applied=True, error_answer=error_answer)
        if instead is not None:
            return instead
        for active in fired:
            if isinstance(active.fault, LatePageFault):
                await active.hold(None if active.fault.ms is None else active.fault.ms / 1_000)
        return spoil(answer, fired)

    def _answer(self, call: Call, arrival: Arrival, fired: list[ActiveFault], *, key: Key, account: Account) -> Answer:
        try:
            if call.method == "GET":
                return self._read_answer(call, fired, key=key, account=account)
            return self._write_answer(call, arrival, key=key, account=account)
        except StripeError as error:
            return answer_error(error)

    def _read_answer(self, call: Call, fired: list[ActiveFault], *, key: Key, account: Account) -> Answer:
        form = dict(call.form)
        if ignores_cursor(fired):
            form.pop("starting_after", None)
        account.catch_up()
        seen = sight(account, fired)
        match call.parts:
            case ("account",):
                return answer_value(resources.account_value(account))
            case ("accounts", account_id) if account_id not in account.tables["account"]:
                return answer_value(self._visible_account(account_id, key, account))
            case ("balance",):
                return answer_value(resources.balance_value(account))
            case ("events",):
                key.check("event", writes=False, account_id=account.id)
                return resources.read_events(form, sight=seen)
            case ("events", event_id):
                key.check("event", writes=False, account_id=account.id)
                return resources.read_event(event_id, form, sight=seen)
        target = self._target(call, key=key, account=account)
        kind, parent_id = target.collection, target.parent_id
        if target.action is not None:
            raise unknown_url(call.method, call.path)
        if target.object_id is None:
            return resources.read_list(kind, form, account=account, sight=seen, parent_id=parent_id)
        return resources.read_one(kind, target.object_id, form, account=account, sight=seen, parent_id=parent_id)

    def _write_answer(self, call: Call, arrival: Arrival, *, key: Key, account: Account) -> Answer:
        account.catch_up()
        write = self._sandbox.write(account, request_id=arrival.request_id, idempotency_key=call.idempotency_key)
        target = self._target(call, key=key, account=account)
        kind, parent_id, form = target.collection, target.parent_id, call.form
        if parent_id is not None and kind.parent is not None and not kind.parent.writes:
            raise unknown_url(call.method, call.path)
        match call.method, target.object_id, target.action:
            case "POST", None, _:
                return resources.create(kind, form, write=write, parent_id=parent_id)
            case "POST", str(object_id), None:
                return resources.update(kind, object_id, form, write=write, parent_id=parent_id)
            case "POST", str(object_id), str(action):
                return resources.act(kind, object_id, action, form, write=write)
            case "DELETE", str(object_id), None:
                return resources.delete(kind, object_id, form, write=write, parent_id=parent_id)
        raise unknown_url(call.method, call.path)

    def _target(self, call: Call, *, key: Key, account: Account) -> Target:
        target = self._sandbox.paths.find(call.parts)
        if target is None:
            raise unknown_url(call.method, call.path)
        kind = target.collection
        writes = call.method != "GET"
        if target.parent_id is not None and kind.parent is not None:
            key.check(kind.parent.collection, writes=False, account_id=account.id)
        key.check(kind.name, writes=writes, account_id=account.id)
        if kind.feature is not None and kind.feature not in account.features:
            raise not_set_up(kind.feature)
        return target

    async def _read(self, request: web.Request) -> Call:
        segments = request.rel_url.raw_path.strip("/").split("/")
        if segments[0] != "v1" or len(segments) < 2:
            raise unknown_url(request.method, request.path)
        try:
            body = (await request.read()).decode()
        except UnicodeDecodeError as error:
            raise StripeError("Invalid request: the body is not UTF-8.") from error
        form, pairs = read_form("&".join(filter(None, (request.rel_url.raw_query_string, body))))
        # Stripe's own libraries write a space in an id as "+", also in a path.
        parts = tuple(unquote_plus(segment) for segment in segments[1:])
        return Call(
            method=request.method,
            path=request.path,
            parts=parts,
            form=form,
            pairs=pairs,
            idempotency_key=request.headers.get("Idempotency-Key"),
        )

    def _version(self, request: web.Request) -> str:
        given = request.headers.get("Stripe-Version")
        if given is None:
            return self._sandbox.api_version
        if not _VERSION.fullmatch(given):
            raise StripeError(f"Invalid Stripe API version: {given}")
        return given

    def _account(self, key: Key, request: web.Request) -> Account:
        wanted = request.headers.get("Stripe-Account") or request.headers.get("Stripe-Context")
        account = self._sandbox.accounts.get((wanted or key.account_id, key.livemode))
        if account is None:
            raise _no_access(key, wanted or key.account_id)
        return account

    def _visible_account(self, account_id: str, key: Key, account: Account) -> dict[str, object]:
        found = self._sandbox.accounts.get((account_id, account.livemode))
        if found is None:
            raise _no_access(key, account_id)
        return resources.account_value(found)


def _no_access(key: Key, account_id: str) -> StripeError:
    return StripeError(
        f"The provided key '{masked(key.text)}' does not have access to account '{account_id}' (or that account "
        "does not exist). Application access may have been revoked.",
        status=403,
        code="account_invalid",
    )


def _rate_limited(account: Account, reason: str) -> Answer:
    retry_after = account.limiter.limits.retry_after_seconds
    headers = {"Stripe-Rate-Limited-Reason": reason}
    if retry_after is not None:
        headers["Retry-After"] = f"{retry_after:g}"
    return answer_error(StripeError("Request rate limit exceeded.", status=429, code="rate_limit", headers=headers))
