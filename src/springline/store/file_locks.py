"""Locks that the kernel drops with the process that holds them, however it dies."""

import errno
import fcntl
import os


class FileLock:
    """One flock(2) of its own: two of them on the same file exclude each other, also inside one process."""

    def __init__(self, descriptor: int) -> None:
        """Takes over `descriptor`, which must come from an `open` of its own."""
        self._descriptor = descriptor

    @property
    def descriptor(self) -> int:
        return self._descriptor

    def try_shared(self) -> bool:
        return self._try(fcntl.LOCK_SH)

    def try_exclusive(self) -> bool:
        """A shared lock held before is lost if this returns False."""
        return self._try(fcntl.LOCK_EX)

    def release(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Drops the lock, unless a child has inherited the descriptor. May be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _try(self, kind: int) -> bool:
        try:
            fcntl.flock(self._descriptor, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return False
            raise
        return True
