"""Stateful fakes of providers, with faults on demand; run by `springline sandbox`, the demo and the tests.

Imports nothing of Springline outside this package: a fake that shared code with what it tests would share
its mistakes.
"""
