"""The versions of static files that are known."""

import threading
from collections import OrderedDict
from collections.abc import Hashable


class VersionCache:
    """Versions of resources, each with the stamp (what changes with the resource) it belongs to.

    Keeps those used last; every operation is O(1). May be used from many threads.
    """

    def __init__(self) -> None:
        self._versions: OrderedDict[Hashable, tuple[object, str]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._versions)

    def get(self, key: Hashable, stamp: object) -> str | None:
        """The version, if it is known and the resource has not changed since."""
        with self._lock:
            known = self._versions.get(key)
            if known is None or known[0] != stamp:
                return None
            self._versions.move_to_end(key)
            return known[1]

    def put(self, key: Hashable, stamp: object, version: str, limit: int) -> None:
        """Keep a version, and forget those used longest ago if there are more than `limit`."""
        with self._lock:
            self._versions[key] = stamp, version
            self._versions.move_to_end(key)
            while len(self._versions) > limit:
                self._versions.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._versions.clear()
