"""A stateful fake of GitHub's REST API: what organizations and repositories hold, how it is read and changed, what
goes wrong.

From the outside in:

- `server` listens; `routes` takes a request through arrival, token, limits, faults and answer; `app_routes` does so
  for what an app asks with its JWT.
- `router` finds the description behind a path and the rows that the path names; `resources` carries out the
  reads and writes that it describes, `paging` cuts lists into pages.
- `control` and `control_objects` are GitHub's part of the sandbox's own API (`/_sandbox/github`): tokens, apps,
  limits, data. `springline.sandbox.common` has the rest of it.
- `collections` describes each kind of object once: where it is read, in which order, what a write does.
- `world` and `tables` hold the data; `tokens`, `apps`, `limits`, `faults` the rest.

Everything lives in memory and is repeatable: ids and data come from the seed, time from a clock that is an
argument. GitHub's facts are of docs.github.com, API version 2022-11-28, seen 2026-11.
"""
