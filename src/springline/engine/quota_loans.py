"""Permits that other processes hold: each counts as started from the answer until its end is reported, or until it must
have ended."""

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from springline.domain.quotas import Start
from springline.engine.permits import PermitAnswer, PermitEnd, PermitQuestion
from springline.engine.quotas import CredentialQuota, Permit
from springline.store.database import STATEMENT_SECONDS
from springline.store.owners import AnsweredQuestion

#: No permit is lent for longer.
LONGEST_LOAN_SECONDS: Final = 120.0


class _Loan(NamedTuple):
    quota: CredentialQuota
    start: Start
    lapses: asyncio.TimerHandle


class Loans:
    """The permits that a worker has lent, by the number of the question."""

    def __init__(self) -> None:
        self._loans: dict[int, _Loan] = {}

    def __len__(self) -> int:
        return len(self._loans)

    def note(self, question_no: int, quota: CredentialQuota, start: Start, *, seconds: float) -> None:
        """A permit is lent for so long, from when the answer stands in its row: at most one statement later."""
        lapses_in = max(0.0, seconds) + STATEMENT_SECONDS
        lapses = asyncio.get_running_loop().call_later(lapses_in, self.end, question_no, "")
        self._loans[question_no] = _Loan(quota, start, lapses)

    def end(self, question_no: int, word: str) -> None:
        """It is given back with this word, or has lapsed, or was never received (no word)."""
        loan = self._loans.pop(question_no, None)
        if loan is None:
            return
        loan.lapses.cancel()
        end = _decode_end(word)
        permit = Permit(loan.quota, loan.start)
        if end.started_ago is not None:
            permit.started(loan.quota.ledger.clock() - max(0.0, end.started_ago))
        if end.status is not None:
            permit.answered(end.status, end.readings)
        if end.slow_down:
            permit.slow_down(end.after_seconds, end.because)
        loan.quota.ledger.end(loan.start)

    def take_over(self, quota: CredentialQuota, answered: Sequence[AnsweredQuestion]) -> None:
        """What a former holder lent is still under way."""
        for asked in answered:
            try:
                question = msgspec.json.decode(asked.question, type=PermitQuestion)
                answer = msgspec.json.decode(asked.answer, type=PermitAnswer)
            except msgspec.DecodeError:
                continue  # a question of another kind
            if asked.age_seconds > answer.valid_seconds:
                continue
            if question.sync is not None:
                quota.sync_limit(*question.sync)
            draws = quota.draws(question.request, question.sync_no)
            start = quota.ledger.adopt(draws, question.priority)
            self.note(asked.question_no, quota, start, seconds=answer.valid_seconds - asked.age_seconds)

    def close(self) -> None:
        """Nothing is waited for any more."""
        for loan in self._loans.values():
            loan.lapses.cancel()
        self._loans.clear()


def _decode_end(word: str) -> PermitEnd:
    try:
        return msgspec.json.decode(word, type=PermitEnd) if word else PermitEnd()
    except msgspec.DecodeError:
        return PermitEnd()
