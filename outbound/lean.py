"""What a process that is to lead soon leaves out while it loads its libraries."""

import ssl


def load_lean() -> None:
    """Load aiohttp without the authorities of this machine, which takes a twelfth of a start.

    It reads them twice while it is loaded, for connections that don't say whom they trust. Each of ours says it
    (`outbound.tls`, the kubeconfig); one that didn't would trust nobody.
    """
    ssl.SSLContext.set_default_verify_paths = _read_nothing  # type: ignore[assignment,method-assign]
    try:
        import aiohttp  # noqa: F401, PLC0415
    finally:
        del ssl.SSLContext.set_default_verify_paths


def _read_nothing(_: ssl.SSLContext) -> None:
    """In place of reading the authorities that OpenSSL knows of."""
