"""The stage itself: which service plays on which port, with TLS where the lab asks for it, and the control port."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from deployments.lab.loopback import Answer, Handler, Listeners, Request
from deployments.lab.stage import apex, eyewear, stario, stylesync, synesthesia
from deployments.lab.stage.faults import Faults
from deployments.lab.stage.service import Service, plain_service
from deployments.lab.stage.stario_content import keep_clean
from deployments.lab.stage.stores import Stores
from deployments.lab.stage.tls import Certificate

_PLATFORMS: dict[str, Callable[[str, Stores], Service | None]] = {
    "apex": apex.service,
    "eyewear": eyewear.service,
    "stario": stario.service,
    "stylesync": stylesync.service,
    "synesthesia": synesthesia.service,
}
_FRONT = {"stario": "gateway", "synesthesia": "web"}
"""What a platform shows behind its certificate, where it is not its `api`."""


class Stage:
    """All services of a configuration; a context manager that serves in the background.

    Args:
        config: `environment`, `services`, `tls` and `control`, as the lab writes them. Port 0 takes a free one.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        services: Mapping[str, Any] = config.get("services", {})
        self.faults = Faults(services)
        self.ports: dict[str, int] = {}
        self._services: dict[str, Service] = {}
        self._stores: list[Stores] = []
        self._environment = config.get("environment", {})
        self._listeners = Listeners()
        for target, place in services.items():
            handler = self.faults.around(target, self._service(target))
            self.ports[target] = self._listeners.add(place["port"], handler)
        for target, place in config.get("tls", {}).items():
            context = Certificate(Path(place["certificate"]), Path(place["key"])).context()
            self.ports[target] = self._listeners.add(place["port"], self._front(target), context)
        self.control = self._listeners.add(config["control"], self._on_control)

    def _service(self, target: str) -> Service:
        if target not in self._services:
            platform, _, system = target.partition("/")
            stores = Stores(platform, self._environment)
            self._stores.append(stores)
            known = _PLATFORMS.get(platform)
            self._services[target] = (known(system, stores) if known else None) or plain_service(system, stores)
        return self._services[target]

    def _front(self, target: str) -> Handler:
        """Return what answers behind a platform's certificate."""
        platform = target.partition("/")[0]
        front = f"{platform}/{_FRONT.get(platform, 'api')}"
        return self.faults.around(front, self._service(front))

    def keep_clean(self, ended: threading.Event) -> None:
        """Clear away what Stario's cleaner would, until all is ended; returns at once where Stario is not played."""
        target = "stario/gateway"
        if target in self.ports:
            keep_clean(Stores("stario", self._environment), lambda: self.faults.has(target, "careless"), ended)

    def run(self) -> None:
        """Serve until `stop`."""
        self._listeners.run()

    def stop(self) -> None:
        """Make `run` return."""
        self._listeners.stop()

    def __enter__(self) -> Self:
        self._listeners.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._listeners.__exit__()
        for stores in self._stores:
            stores.close()

    def _on_control(self, request: Request) -> Answer:
        if request.path == "/healthz":
            return Answer.of({"ok": True, "services": len(self.ports)})
        if request.path != "/faults":
            return Answer.of({"error": "ask /healthz or /faults"}, 404)
        if request.method == "POST":
            try:
                wanted = request.json()
                self.faults.set(wanted["target"], wanted["fault"])
            except (KeyError, TypeError, ValueError):
                return Answer.of({"error": 'send {"target": "platform/system", "fault": "..." or null}'}, 400)
            except LookupError as error:
                return Answer.of({"error": str(error)}, 404)
        return Answer.of(self.faults.describe())
