"""The program with one more domain: a request leads to an actor, the actor to a job.

`python -m tests.integration.watch.shipping DATA_DIR [OTLP_ENDPOINT]`
"""

import signal
import sys
from pathlib import Path
from typing import Any

import attrs
import structlog
import trio

from actors.auth.messages import Role
from cli import otlp
from cli.logs import LogWriter, logging_to
from cli.serve import serving_otlp
from gateway import application as gateway_application
from gateway.application import gateway_children
from gateway.listener import ListenerSettings
from gateway.messages import LISTENER, GetAddress
from gateway.routes import Answer, ApiRequest, Response, Route, answer
from gateway.settings import GatewaySettings
from runtime import Actor, ActorSystem, Call, ChildSpec, host
from runtime.cache import CacheHandle
from runtime.jobs import JOBS, Delays, Enqueue, Job, JobsSpec, NewJob, QueuePolicy
from runtime.ports import system_ports
from runtime.storage import DatabaseHandle, Entry
from runtime.telemetry import Metrics
from supervisors.application import ApplicationSpec, application
from supervisors.platform import DatabaseSpec
from tests.stores import patient_pipeline

SHIPPER = "test.shipper"
PATIENCE_S = 300
"""More than a collector takes that never answers: what waits for it is seen to wait."""

QUEUE = QueuePolicy(name="shipping", attempts_max=2, delays=Delays(initial_s=0.05, max_s=0.1))
log = structlog.get_logger("test.shipping")


@attrs.frozen
class Ship(Call[str]):
    note: str


class Shipper(Actor):
    """Enqueues a job for each parcel. A note that says "crash" is what it crashes with."""

    async def receive(self, message: Any) -> object:
        log.info("shipping", note=message.note)
        if "crash" in message.note:
            raise RuntimeError(message.note)
        job = NewJob(
            queue=QUEUE.name, name="ship", merchant_id="shop", payload={"note": message.note}
        )
        enqueued = await self.system.ref(JOBS).ask(Enqueue(job))
        return enqueued.job_id if hasattr(enqueued, "job_id") else "full"


async def ship(job: Job, system: ActorSystem) -> Entry:
    payload: Any = job.payload
    if "fail" in payload["note"]:
        raise RuntimeError(payload["note"])
    log.info("shipped", job=job.job_id)
    return ()


async def post(request: ApiRequest) -> Answer:
    job_id = await request.system.ref(SHIPPER).ask(Ship(request.body["note"]))
    return answer({"job_id": job_id})


ROUTE = Route(
    method="POST",
    path="/v1/test/ship",
    handler=post,
    summary="Ship a parcel",
    tag="Test",
    roles=frozenset({Role.OWNER}),
    body=dict[str, str],
    responses={200: Response("The job", dict)},
)


async def main(data_dir: Path, endpoint: str) -> None:
    handle, cache, metrics = DatabaseHandle(patient_pipeline()), CacheHandle(), Metrics()
    settings = GatewaySettings(deadline_s=PATIENCE_S, keys_timeout_s=PATIENCE_S)
    listener = ListenerSettings(bind="127.0.0.1:0")
    edge = gateway_children(listener, settings, handle, cache)
    spec = ApplicationSpec(
        DatabaseSpec(f"sqlite:///{data_dir}/shipping.db"),
        data_dir,
        (*edge, ChildSpec("shipper", Shipper, name=SHIPPER)),
        "redis://:canary-redis-password@127.0.0.1:1/0",
        JobsSpec(queues=(QUEUE,), handlers={"ship": ship}),
    )
    async with serving_otlp(endpoint, 1.0, metrics) as tracing:
        system = ActorSystem(system_ports(), metrics, tracing)
        async with system.run(application(spec, handle, cache)):
            address = await system.ref(LISTENER).ask(GetAddress())
            with trio.open_signal_receiver(signal.SIGTERM) as signals:
                sys.stdout.write(f"shipping serves {address.url}\n")
                sys.stdout.flush()
                await anext(signals)


if __name__ == "__main__":
    otlp.SEND_TIMEOUT_S = PATIENCE_S  # type: ignore[misc]
    routes = gateway_application.all_routes
    gateway_application.all_routes = lambda *given: (ROUTE, *routes(*given))
    folder, collector = Path(sys.argv[1]), (*sys.argv[2:], "")[0]
    with logging_to(LogWriter(), level="debug", console=False):
        host.run(main, folder, collector)
