"""The command line. `main` is the entry point; one module per noun holds its commands.

Commands that ask a running server go through `springline.client`; `serve`, `worker`, `migrate` and `orgs` go through
`springline.composition`. Both are imported by the command that needs them, so that `springline --help` answers at once.
"""
