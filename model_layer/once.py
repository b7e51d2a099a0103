"""One piece of work a key at a time: who asks for it while it is under way gets its outcome instead."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from common.errors import InfrastructureError

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")


class Once(Generic[Key, Result]):
    """The first caller's task does the work. If it is cancelled, the others see infrastructure trouble."""

    def __init__(self) -> None:
        self._under_way: dict[Key, asyncio.Future[Result]] = {}

    def __contains__(self, key: Hashable) -> bool:
        """Return whether it is under way."""
        return key in self._under_way

    async def run(self, key: Key, work: Callable[[], Awaitable[Result]]) -> Result:
        """Return the outcome of ``work``, or of the one under way under this key."""
        if (twin := self._under_way.get(key)) is not None:
            return await asyncio.shield(twin)
        mine: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._under_way[key] = mine
        try:
            result = await work()
            mine.set_result(result)
            return result
        except BaseException as error:
            mine.set_exception(error if isinstance(error, Exception) else InfrastructureError("cancelled"))
            mine.exception()  # a twin may be waiting or not; nobody need be warned
            raise
        finally:
            del self._under_way[key]
