"""Work on several processors, answers in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, TypeVar

from neurokd.errors import NeurokdError

Answer = TypeVar("Answer")


def in_order(call: Callable[..., Answer], arguments: Iterable[dict[str, Any]], processes: int = 1) -> Iterator[Answer]:
    """Yield `call(**each)` for each of `arguments`, computed by so many `processes`, never far ahead of the reader.

    `call` and what goes through it must be picklable unless `processes` is 1. Raises NeurokdError when one is killed.

    >>> list(in_order(dict, [{"a": 1}, {"b": 2}]))
    [{'a': 1}, {'b': 2}]
    """
    if processes == 1:
        yield from (call(**each) for each in arguments)
        return
    waiting: deque[Future[Answer]] = deque()
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        try:
            for each in arguments:
                waiting.append(pool.submit(call, **each))
                if len(waiting) > 2 * processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise NeurokdError("a worker process was killed, perhaps for memory; use fewer processes") from error
        finally:
            for future in waiting:
                future.cancel()
