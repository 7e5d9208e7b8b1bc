"""Functions as methods of the data classes, although their modules import these."""

import importlib
from typing import Any


class LazyMethod:
    """A function of a module as a method; the module is imported when it is first used.

    Formats, bridges and pictures import the data classes, so that the data classes
    cannot import them.
    """

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __get__(self, obj: Any, owner: type | None = None) -> Any:
        function = getattr(importlib.import_module(self.module), self.name)
        return function if obj is None else function.__get__(obj, owner)


class LazyStaticMethod(staticmethod):  # type: ignore[type-arg] # found by its module
    """A function of a module as a static method, imported as by :class:`LazyMethod`."""

    def __init__(self, module: str, name: str) -> None:
        super().__init__(LazyMethod(module, name).__get__)

    def __get__(self, obj: Any, owner: type | None = None) -> Any:
        return self.__func__(None)
