"""Keep freed memory in the process on Linux, where giving it back slows training on a CPU."""

import ctypes
import logging
import sys

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # malloc.h
_LARGEST_INT = 2**31 - 1

logger = logging.getLogger(__name__)


def keep_freed_memory() -> bool:
    """Ask glibc to serve large tensors from its heap; True if it agreed, False on other systems.

    Activations of tens of megabytes are otherwise mapped and unmapped at every step, and the
    kernel clears each page again (`benchmarks/allocator.py` measures it).
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # musl has no mallopt
        return False
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _LARGEST_INT), (_M_TOP_PAD, 64 << 20))
    accepted = [mallopt(option, value) == 1 for option, value in settings]  # all are set, whichever is refused
    return all(accepted)
