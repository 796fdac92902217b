"""The configuration of an embedded Kafka (``server.properties``): its listeners, access to them, and fixed values."""

from msgspec import Struct, field

from tickertape.stream.configuration.connection import Connection

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners={addresses},CONTROLLER://{host}:{controller}
advertised.listeners={addresses}
controller.listener.names=CONTROLLER
inter.broker.listener.name={internal}
listener.security.protocol.map=CONTROLLER:{protocol},{protocols}
log.dirs=records

# One node.
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
offsets.topic.num.partitions=8
transaction.state.log.num.partitions=4

# Topics are created on purpose; groups form at once.
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000

# An exchange's record may have 10 MB.
message.max.bytes=16777216

# A small machine: few threads, and not the default 128 MiB to compact in.
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216

# After a kill the controller takes the next start for a duplicate until this is over; 9 s by default.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
{properties}"""


class Listeners(Struct, frozen=True):
    """The listeners of an embedded Kafka, and who may use them.

    Attributes
    ----------
    protocols
        The protocol of each listener, by its name: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL. The first listener is at
        `EmbeddedKafka.broker`. The broker itself, its controller and its health check use it, so it can't use SASL.
    properties
        Lines of ``server.properties``: keys, users, the authorizer. They override those that every broker has.
    connection
        The settings with which the health check connects to the first listener; ``broker`` is ignored.
    """

    protocols: dict[str, str] = field(default_factory=lambda: {"PLAINTEXT": "PLAINTEXT"})
    properties: str = ""
    connection: Connection = Connection()

    def server_properties(self, host: str, ports: dict[str, int], controller: int) -> str:
        """Return the contents of ``server.properties``.

        Parameters
        ----------
        host
            The host of all listeners.
        ports
            The port of each listener, by its name.
        controller
            The controller's port.
        """
        internal, protocol = next(iter(self.protocols.items()))
        return PROPERTIES.format(
            host=host,
            controller=controller,
            addresses=",".join(f"{name}://{host}:{port}" for name, port in ports.items()),
            internal=internal,
            protocol=protocol,
            protocols=",".join(f"{name}:{spoken}" for name, spoken in self.protocols.items()),
            properties=self.properties,
        )
