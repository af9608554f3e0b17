"""Admission as a part of the controller: the server, and whoever looks after its certificate."""

from canary.admission.certificates import Pair
from canary.admission.keeper import Names, OwnCertificate
from canary.admission.places import CONVERTING, PLACES
from canary.admission.server import AdmissionServer
from canary.controller.options import Admission, Options
from canary.controller.telemetry import Telemetry
from canary.kube.client import KubeClient
from inbound.given import GivenCertificate


class AdmissionService:
    """Answers the API server, whether this process leads or not.

    Args:
        settings: how it is answered.
        options: what the controller is told.
        client: keeps the certificate.
        telemetry: is told.
    """

    def __init__(self, settings: Admission, options: Options, client: KubeClient, telemetry: Telemetry) -> None:
        self._server = AdmissionServer(options.address, settings.port, options, telemetry)
        places = (*PLACES, *CONVERTING) if settings.converts else PLACES
        names = Names(options.lease_namespace, settings.name)
        self._keeper = (
            OwnCertificate(client, names, settings.life, self._server, places=places)
            if settings.folder is None
            else GivenCertificate(settings.folder, self._serve, "admission")
        )

    @property
    def is_ready(self) -> bool:
        """Whether it answers."""
        return self._server.is_ready

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            ListenError: the port is taken, or the address is none of this machine's.
        """
        await self._server.start()

    async def run(self) -> None:
        """Look after the certificate until cancelled."""
        await self._keeper.run()

    async def close(self) -> None:
        """Stop listening."""
        await self._server.close()

    async def _serve(self, certificate: bytes, key: bytes) -> None:
        await self._server.serve(Pair(certificate, key))
