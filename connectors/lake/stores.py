"""Object stores: opening one by its URL, and what its errors mean."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from obstore.exceptions import BaseError, NotFoundError, PermissionDeniedError, UnauthenticatedError
from obstore.store import ObjectStore, from_url

from schemas.errors import SettingsError, StorageError, UnavailableError

# What obstore takes as options of its HTTP client (obstore.store.ClientConfig); the others are the store's own.
_CLIENT = """
    allow_http allow_invalid_certificates connect_timeout default_content_type pool_idle_timeout pool_max_idle_per_host
    proxy_ca_certificate proxy_excludes proxy_url randomize_addresses read_timeout root_certificate timeout user_agent
"""


def store_of(url: str, options: Mapping[str, str]) -> ObjectStore:
    """The store under a URL: s3://bucket/prefix, gs://bucket/prefix, abfss://container@account.dfs.core.windows.net/prefix,
    file:///folder. `options` have obstore's names. Credentials come from the environment, or from where the machine has
    them, as the cloud's own tools find them. SettingsError for what cannot be understood.
    """
    names = set(_CLIENT.split())
    client: Any = {name: value for name, value in options.items() if name in names}
    config: Any = {name: value for name, value in options.items() if name not in names}
    try:
        if url.startswith("file:"):
            return from_url(url, mkdir=True)
        store: ObjectStore = from_url(url, config=config, client_options=client)
        return store
    except (BaseError, ValueError) as error:
        raise SettingsError(
            f"lake: {url} cannot be opened: {_first_line(error)}",
            "Give s3://bucket/prefix, gs://…, abfss://… or file:///folder, and in lake_options what obstore calls options.",
        ) from None


@contextmanager
def store_errors(where: str) -> Iterator[None]:
    """StorageError for an object that is gone, UnavailableError for a store that does not answer or refuses."""
    try:
        yield
    except (NotFoundError, FileNotFoundError) as error:
        raise StorageError(
            f"{where}: what should be there is not: {_first_line(error)}",
            "Check that the bucket is there; bring back what was removed from it (versions of the bucket), or restore.",
        ) from error
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise UnavailableError(
            f"{where} refuses: {_first_line(error)}",
            "Give rights to list, get, put and delete there, and the credentials in the environment.",
        ) from error
    except BaseError as error:
        raise UnavailableError(
            f"{where} does not answer: {_first_line(error)}",
            "Check the store, its credentials and lake_options, then run the command again: nothing was lost.",
        ) from error


def _first_line(error: Exception) -> str:
    """What an error says before its details, with the store's own code for it."""
    told = str(error)
    code = re.search(r"<Code>(\w+)</Code>", told)
    return told.splitlines()[0].partition("<?xml")[0].rstrip(": ") + (f" ({code[1]})" if code else "")
