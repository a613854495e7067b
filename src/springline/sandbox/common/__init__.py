"""What every sandbox has, whatever it plays: a clock, a log of arrivals, faults, and the control API for them.

- `state` holds what one sandbox knows beside its data; `clock` is its time.
- `faults` says what goes wrong with which requests, `outcomes` ends a request as they want it.
- `control` and `control_faults` are handlers of the control API; `server` listens.

Knows no provider. Imports nothing of Springline outside `springline.sandbox`.
"""
