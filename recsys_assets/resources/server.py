"""Is there a tracking server at an address? One quick look, with a message that says what to do.

What is asked of the server belongs in `resources/tracking.py`.
"""

import socket
from urllib.parse import urlparse

from recsys_assets.errors import StorageError


def require_server(uri: str, *, timeout: float = 10.0) -> None:
    """Raise StorageError unless something answers at a tracking server's address.

    MLflow's own client retries in silence for more than three minutes (measured on 3.17).
    """
    address = urlparse(uri)
    if address.hostname is None or address.scheme not in ("http", "https"):
        return  # databricks:// and the like: MLflow's own client knows where to connect
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname, port), timeout=timeout).close()
    except OSError as error:
        raise StorageError(
            f"MLFLOW_TRACKING_URI={uri}: no server answers there ({error}); start it, correct the "
            "address, or unset the variable to use SQLite in the home folder"
        ) from error
