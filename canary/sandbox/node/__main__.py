"""`python -m canary.sandbox.node KUBECONFIG --folder FOLDER`: be the sandbox's nodes."""

import argparse
import asyncio
from pathlib import Path

from canary.sandbox.addresses import Site
from canary.sandbox.node.kubelet import Settings, serve


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m canary.sandbox.node")
    parser.add_argument("kubeconfig", type=Path)
    parser.add_argument("--folder", type=Path, required=True, help="for the pods' files and logs")
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--fake-delay", type=float, help="seconds after which pods without processes are ready")
    parser.add_argument("--backoff", type=float, default=1.0, help="seconds before a container's second restart")
    parser.add_argument("--certificate", type=Path, nargs=2, metavar=("CERTIFICATE", "KEY"), help="to serve logs with")
    parser.add_argument("--site", type=int, default=0, help="which cluster of the network this is")
    given = parser.parse_args()
    certificate = tuple(given.certificate) if given.certificate else None
    settings = Settings(given.nodes, given.folder, given.fake_delay, given.backoff, certificate, Site(given.site))
    asyncio.run(serve(given.kubeconfig, settings))


main()
