"""A stateful fake of Stripe's v1 API: what an account holds, how it is read and changed, what goes wrong.

From the outside in:

- `server` listens; `routes` takes a request through arrival, key, limits, faults and answer.
- `resources` carries out the API's reads and writes; `control` and `control_objects` are Stripe's part of the
  sandbox's own API (`/_sandbox/stripe`): keys, limits, data. `springline.sandbox.common` has the rest of it.
- `collections` describes each kind of object once: its fields, parameters, filters, parent and events, what a write
  does, and what made-up data looks like. `paths` finds the one that a path names.
- `accounts`, `records`, `writes`, `events` hold the data; `keys`, `limits`, `idempotency`,
  `fault_effects` the rest.

Everything lives in memory and is repeatable: ids and data come from the seed, time from a clock that is an
argument.
"""
