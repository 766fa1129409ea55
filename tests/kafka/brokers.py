"""Real Kafka brokers for tests: made by Maven, one process each, on free ports of the loopback."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")
JAVA = (
    "-Xms64m -Xmx256m -Xss512k -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:MaxMetaspaceSize=160m "
    "-XX:ReservedCodeCacheSize=64m -XX:MaxDirectMemorySize=64m -Djava.awt.headless=true"
).split()
READY = 90.0
"""Seconds that a cluster has to start."""
SECRET = "correct horse"


# Without this, attempts to reach a broker that isn't ready yet are printed.
logging.getLogger("aiokafka").addHandler(logging.NullHandler())


class Unavailable(Exception):
    """What a broker needs isn't on this machine."""


def version():
    """The version in the pom, unless ``RIVULET_KAFKA_VERSION`` says another."""
    if given := os.environ.get("RIVULET_KAFKA_VERSION"):
        return given
    return re.search(r"<kafka.version>(.+?)</kafka.version>", POM.read_text())[1]


def libraries(kafka=None):
    """The folder with a version of Kafka, which Maven fills the first time.

    Raises:
        Unavailable: Java or Maven is missing, or the download fails.
    """
    kafka = kafka or version()
    found = shutil.which("java")
    if found is None:
        raise Unavailable("no java: install a Java runtime of version 17 or newer")
    said = subprocess.run([found, "-version"], capture_output=True, text=True, check=True).stderr
    number = int(re.search(r'version "(\d+)', said)[1])
    if number < 17:
        raise Unavailable(f"Java {number} is too old: Kafka needs 17 or newer")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rivulet-tests"
    folder = cache / f"kafka-{kafka}"
    if folder.exists():
        return folder
    if shutil.which("mvn") is None:
        raise Unavailable("no mvn: install Maven, which fetches Kafka")
    cache.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(dir=cache))
    command = [
        *("mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies"),
        *(f"-Dkafka.version={kafka}", "-DincludeScope=runtime", f"-DoutputDirectory={new}"),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)
    if done.returncode:
        shutil.rmtree(new)
        raise Unavailable(f"Maven can't fetch Kafka {kafka}: {done.stdout[-500:]}")
    with suppress(OSError):  # another process was faster
        new.rename(folder)
    return folder


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Broker:
    """One node, which is a controller too."""

    def __init__(self, cluster, number, ports):
        self.cluster = cluster
        self.number = number
        self.port, self.controller_port = ports
        self.folder = cluster.folder / f"n{number}"
        self.process = None

    def configure(self):
        cluster = self.cluster
        n = len(cluster.brokers)
        voters = ",".join(f"{b.number}@127.0.0.1:{b.controller_port}" for b in cluster.brokers)
        settings = {
            "process.roles": "broker,controller",
            "node.id": self.number,
            "controller.quorum.voters": voters,
            "listeners": f"CLIENT://127.0.0.1:{self.port},"
            f"CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"CLIENT://127.0.0.1:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "CLIENT",
            "listener.security.protocol.map": f"CLIENT:{cluster.protocol},CONTROLLER:PLAINTEXT",
            "log.dirs": self.folder / "data",
            "num.partitions": 3,
            "auto.create.topics.enable": "false",
            "default.replication.factor": n,
            "min.insync.replicas": min(n, 2),
            "offsets.topic.num.partitions": 1,
            "offsets.topic.replication.factor": n,
            "transaction.state.log.num.partitions": 1,
            "transaction.state.log.replication.factor": n,
            "transaction.state.log.min.isr": min(n, 2),
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 500,
            "log.cleaner.dedupe.buffer.size": 2097152,
            "num.network.threads": 2,
            "num.io.threads": 2,
            "log.segment.bytes": 16777216,
            "message.max.bytes": 2097152,
            "unclean.leader.election.enable": "false",
            **cluster.more,
        }
        if cluster.sasl:
            users = f'user_admin="{SECRET}" user_ana="{SECRET}"'
            settings |= {
                "sasl.enabled.mechanisms": "PLAIN",
                "sasl.mechanism.inter.broker.protocol": "PLAIN",
                "listener.name.client.plain.sasl.jaas.config": "org.apache.kafka.common.security."
                f'plain.PlainLoginModule required username="admin" password="{SECRET}" {users};',
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users": "User:admin;User:ANONYMOUS",
            }
        if cluster.tls:
            settings |= {
                "ssl.keystore.location": cluster.folder / "broker.p12",
                "ssl.keystore.type": "PKCS12",
                "ssl.keystore.password": SECRET,
                "ssl.truststore.location": cluster.certificate,
                "ssl.truststore.type": "PEM",
            }
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file = self.folder / "server.properties"
        self.file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))

    def java(self, *arguments):
        command = ["java", *JAVA, "-cp", f"{self.cluster.libraries}/*", *arguments]
        log = (self.folder / "output.txt").open("ab")
        with log:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder
            )

    def format(self):
        arguments = ("format", "-t", self.cluster.id, "-c", str(self.file), "-g")
        return self.java("kafka.tools.StorageTool", *arguments)

    def start(self):
        self.process = self.java("kafka.Kafka", str(self.file))

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """As by a loss of power, but for what the kernel has."""
        self.signal(signal.SIGKILL)
        self.process.wait()

    def freeze(self):
        self.signal(signal.SIGSTOP)

    def thaw(self):
        self.signal(signal.SIGCONT)

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.thaw()
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()


class Cluster:
    """Brokers that belong together, started when entered and stopped by their processes."""

    def __init__(self, n=1, *, sasl=False, tls=False, kafka=None, **more):
        self.libraries = libraries(kafka)
        self.sasl = sasl
        self.tls = tls
        self.more = more
        self.folder = Path(tempfile.mkdtemp(prefix="rivulet-kafka-"))
        # A first letter, as an option would begin with "-".
        self.id = "r" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
        ports = free_ports(2 * n)
        self.brokers = []
        for i in range(n):
            self.brokers.append(Broker(self, i + 1, ports[2 * i : 2 * i + 2]))

    @property
    def protocol(self):
        return ("SASL_" if self.sasl else "") + ("SSL" if self.tls else "PLAINTEXT")

    @property
    def certificate(self):
        return self.folder / "ca.pem"

    def make_certificate(self):
        """A key for the brokers, and the certificate by which clients know them."""
        store = ("-keystore", str(self.folder / "broker.p12"), "-storepass", SECRET)
        for command in (
            [
                *("-genkeypair", "-storetype", "PKCS12", "-keyalg", "EC", "-dname", "CN=brokers"),
                *("-ext", "san=ip:127.0.0.1", "-ext", "bc:critical=ca:true"),
                *("-ext", "ku:critical=digitalSignature,keyCertSign", "-validity", "2"),
            ],
            ["-exportcert", "-rfc", "-file", str(self.certificate)],
        ):
            subprocess.run(["keytool", *command, *store], check=True, capture_output=True)

    @property
    def servers(self):
        return ",".join(f"127.0.0.1:{broker.port}" for broker in self.brokers)

    def __enter__(self):
        try:
            if self.tls:
                self.make_certificate()
            for broker in self.brokers:
                broker.configure()
            if any([process.wait(60) for process in [b.format() for b in self.brokers]]):
                raise RuntimeError(f"a broker can't be set up: {self.output()}")
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self):
        for broker in self.brokers:
            broker.start()
        self.wait_ready()

    def wait_ready(self):
        asyncio.run(self._ready())

    async def _ready(self):
        end = time.monotonic() + READY
        while time.monotonic() < end:
            if any(broker.process.poll() is not None for broker in self.brokers):
                raise RuntimeError(f"a broker has ended: {self.output()}")
            with suppress(Exception):
                if await self._count() == len(self.brokers):
                    return
            await asyncio.sleep(0.2)
        raise RuntimeError(f"the brokers aren't ready after {READY:g} s: {self.output()}")

    async def _count(self):
        from aiokafka.admin import AIOKafkaAdminClient

        admin = AIOKafkaAdminClient(**self.client())
        try:
            await admin.start()
            return len((await admin.describe_cluster())["brokers"])
        finally:
            await admin.close()

    def client(self):
        """What a client needs to connect as one who may do anything."""
        conf = {"bootstrap_servers": self.servers}
        if self.tls:
            conf["ssl_context"] = ssl.create_default_context(cafile=self.certificate)
        if self.tls or self.sasl:
            conf["security_protocol"] = self.protocol
        if self.sasl:
            conf |= {
                "sasl_mechanism": "PLAIN",
                "sasl_plain_username": "admin",
                "sasl_plain_password": SECRET,
            }
        return conf

    def output(self):
        files = [broker.folder / "output.txt" for broker in self.brokers]
        return "\n".join(file.read_text()[-2000:] for file in files if file.exists())

    def stop(self):
        for broker in self.brokers:
            if broker.process is not None and broker.process.poll() is None:
                broker.thaw()
                broker.process.terminate()
        for broker in self.brokers:
            broker.stop()

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
