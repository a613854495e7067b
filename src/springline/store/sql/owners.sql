-- ask --
-- A question to the holder of a credential's lease; forgets those that nobody waits for any more. Returns the holder too:
-- null where no living worker holds it.
WITH past AS (
    DELETE FROM owner_questions WHERE question_no IN (
        SELECT question_no FROM owner_questions WHERE expires_at < clock_timestamp() - interval '1 hour'
        LIMIT 100 FOR UPDATE SKIP LOCKED)
)
INSERT INTO owner_questions (credential_no, question, expires_at)
VALUES ($1, $2, clock_timestamp() + $3::double precision * interval '1 second')
RETURNING question_no, (
    SELECT w.worker_no FROM credentials c JOIN workers w ON w.worker_no = c.lease_worker_no
    WHERE c.credential_no = $1 AND w.expires_at > clock_timestamp()) AS holder

-- find_holder --
-- The living worker that holds a credential's lease.
SELECT w.worker_no FROM credentials c JOIN workers w ON w.worker_no = c.lease_worker_no
WHERE c.credential_no = $1 AND w.expires_at > clock_timestamp()

-- look --
-- Whether a question was answered, how long ago, and who holds the credential now.
SELECT q.answer, extract(epoch FROM clock_timestamp() - q.answered_at)::double precision AS age_seconds, (
    SELECT w.worker_no FROM credentials c JOIN workers w ON w.worker_no = c.lease_worker_no
    WHERE c.credential_no = q.credential_no AND w.expires_at > clock_timestamp()) AS holder
FROM owner_questions q WHERE q.question_no = $1

-- list_open --
-- Questions that are for this worker to answer.
SELECT q.question_no, q.credential_no, q.question,
    extract(epoch FROM q.expires_at - clock_timestamp())::double precision AS expires_in_seconds
FROM owner_questions q JOIN credentials c USING (credential_no)
WHERE c.lease_worker_no = $1 AND q.answer IS NULL AND q.expires_at > clock_timestamp()
ORDER BY q.question_no

-- answer --
-- Only while somebody waits for it, and only by the living holder. No row: it did not count.
UPDATE owner_questions q SET answer = $2, answered_at = clock_timestamp()
FROM credentials c JOIN workers w ON w.worker_no = c.lease_worker_no
WHERE q.question_no = $1 AND q.answer IS NULL AND q.expires_at > clock_timestamp()
    AND c.credential_no = q.credential_no AND w.worker_no = $3 AND w.expires_at > clock_timestamp()
RETURNING q.question_no

-- end_question --
-- It is settled, or given up. Returns the answer that came meanwhile.
DELETE FROM owner_questions WHERE question_no = $1
RETURNING answer, extract(epoch FROM clock_timestamp() - answered_at)::double precision AS age_seconds

-- list_answered --
-- What a former holder answered about a credential, and what is not settled yet.
SELECT question_no, question, answer, extract(epoch FROM clock_timestamp() - answered_at)::double precision AS age_seconds
FROM owner_questions WHERE credential_no = $1 AND answer IS NOT NULL
