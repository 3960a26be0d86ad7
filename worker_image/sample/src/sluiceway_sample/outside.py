"""How the shop calls other people's services: with a limit, and with one error to retry on.

The services themselves are stand-ins that the web app serves (``stand_ins``).
"""

from __future__ import annotations

import urllib.error
import urllib.request

from sluiceway_sample import settings

TIMEOUT_S = 5
"""A service that never answers must not hold a worker."""


class ServiceError(Exception):
    """A service did not answer, or answered with an error: worth another try, later."""


def call(service: str) -> None:
    """Have an outside service do its part.

    Raises:
        ServiceError: it did not.
    """
    url = f"{settings.SHOP_URL}/services/{service}"
    try:
        urllib.request.urlopen(url, data=b"", timeout=TIMEOUT_S).close()
    except (urllib.error.URLError, TimeoutError) as exc:
        raise ServiceError(f"{service}: {exc}") from exc
