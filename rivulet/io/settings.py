"""The settings of a topic, checked before anything is opened."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, cast
from warnings import warn

from rivulet.core.checks import check_choice
from rivulet.errors import GraphError, MissingExtraError

__all__ = ["KNOWN", "Address", "Settings"]

Kind = Literal["memory", "file", "kafka"]

_SHARED: Final = (
    *("bootstrap_servers", "client_id", "connections_max_idle_ms", "metadata_max_age_ms"),
    *("request_timeout_ms", "retry_backoff_ms", "security_protocol", "ssl_context"),
    *("sasl_kerberos_domain_name", "sasl_kerberos_service_name", "sasl_mechanism"),
    *("sasl_oauth_token_provider", "sasl_plain_password", "sasl_plain_username"),
)
_READING: Final = (
    *("auto_commit_interval_ms", "auto_offset_reset", "check_crcs", "client_rack"),
    *("consumer_timeout_ms", "enable_auto_commit", "exclude_internal_topics", "fetch_max_bytes"),
    *("fetch_max_wait_ms", "fetch_min_bytes", "group_id", "group_instance_id"),
    *("heartbeat_interval_ms", "isolation_level", "key_deserializer", "max_partition_fetch_bytes"),
    *("max_poll_interval_ms", "max_poll_records", "partition_assignment_strategy"),
    *("rebalance_timeout_ms", "session_timeout_ms", "value_deserializer"),
)
_WRITING: Final = (
    *("acks", "compression_type", "enable_idempotence", "key_serializer", "linger_ms"),
    *("max_batch_size", "max_request_size", "partitioner", "transaction_timeout_ms"),
    *("transactional_id", "value_serializer"),
)
_SSL: Final = ("ssl_cafile", "ssl_certfile", "ssl_keyfile", "ssl_password")
KNOWN: Final = (*_SHARED, *_READING, *_WRITING, *_SSL)
_CODING: Final = ("key_deserializer", "value_deserializer", "key_serializer", "value_serializer")
_OURS: Final = ("enable_auto_commit", "auto_commit_interval_ms", "auto_offset_reset", *_CODING)
"""Settings that aren't aiokafka's business here: we commit, reset and decode by ourselves."""

_CHOICES: Final = {
    "auto_offset_reset": ("earliest", "latest", "none"),
    "isolation_level": ("read_uncommitted", "read_committed"),
    "security_protocol": ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
    "sasl_mechanism": ("PLAIN", "GSSAPI", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"),
    "compression_type": ("gzip", "snappy", "lz4", "zstd"),
}
_SWITCHES: Final = ("check_crcs", "enable_idempotence", "exclude_internal_topics")
_FUNCTIONS: Final = (*_CODING, "partitioner")
_ALL: Final = ("all", -1)
"""What ``acks`` is where all replicas in sync have to have a record."""
_NEEDED: Final = (
    "bootstrap_servers, such as 'memory://name' (in this process), 'file:path' (kept in a folder) "
    "or 'host:port' (Kafka)"
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where topics are.

    Attributes:
        kind: what is there.
        name: the name of a log in memory, the folder of one in a file, the servers of Kafka.
    """

    kind: Kind
    name: str

    def __str__(self) -> str:
        return {"memory": "memory://", "file": "file:", "kafka": ""}[self.kind] + self.name


@dataclass(frozen=True, slots=True)
class Settings:
    """Checked settings.

    Attributes:
        given: as the user gave them.
        address: where the topic is.
        reading: what is passed to aiokafka's consumer.
        writing: what is passed to aiokafka's producer.
    """

    given: Mapping[str, Any]
    address: Address
    reading: Mapping[str, Any]
    writing: Mapping[str, Any]

    @classmethod
    def of(cls, name: str, conf: Mapping[str, Any] | None) -> Settings:
        """Check what the user gave.

        Raises:
            GraphError: something in it is unknown, missing, or doesn't go together.
            MissingExtraError: it names a Kafka broker, and aiokafka isn't installed.
        """
        settings: Any = {} if conf is None else conf
        if not isinstance(settings, Mapping):
            raise GraphError(f"Topic(conf) must be a dict of settings, not {conf!r:.100}")
        given = dict(cast("Mapping[str, Any]", settings))
        title = f"Topic({name!r})"
        _check_known(title, given)
        address = _address(title, given.get("bootstrap_servers"))
        _check_values(title, given)
        reading: dict[str, Any] = {}
        writing: dict[str, Any] = {}
        if address.kind == "kafka":
            _check_kafka(title, given)
            reading = _for(title, given, (*_SHARED, *_READING))
            writing = {
                "enable_idempotence": given.get("acks") in (None, *_ALL),
                **_for(title, given, (*_SHARED, *_WRITING)),
            }
        return cls(
            MappingProxyType(given), address, MappingProxyType(reading), MappingProxyType(writing)
        )

    def get(self, setting: str, default: Any = None) -> Any:
        """A setting as the user gave it; ``default`` where it wasn't given or is None."""
        value = self.given.get(setting)
        return default if value is None else value

    @property
    def group(self) -> str | None:
        """The consumer group that reads."""
        return self.given.get("group_id")

    @property
    def reset(self) -> str:
        """What to do where no offset is committed, or it is out of range."""
        return self.get("auto_offset_reset", "latest")

    @property
    def largest(self) -> int:
        """How many bytes a record may take."""
        return self.get("max_request_size", 1048576)

    @property
    def rebalance_timeout(self) -> float:
        """How many seconds a member has to finish what it read when partitions are handed over."""
        return self.get("rebalance_timeout_ms", 60_000) / 1000


def _check_known(title: str, given: Mapping[str, Any]) -> None:
    for setting in given:
        if setting in KNOWN:
            continue
        close = get_close_matches(str(setting), KNOWN, 1)
        hint = f": did you mean {close[0]!r}?" if close else f"; known are {', '.join(KNOWN)}"
        raise GraphError(f"{title} has no setting {setting!r}{hint}")


def _address(title: str, servers: Any) -> Address:
    if servers is None or servers == "":
        raise GraphError(f"{title} needs {_NEEDED}")
    several = [servers] if isinstance(servers, str) else servers
    if not isinstance(several, list | tuple | set) or not several:
        raise GraphError(f"{title} needs {_NEEDED}, not {servers!r:.100}")
    entries: list[Any] = []
    for entry in cast("list[Any]", several):
        entries += entry.split(",") if isinstance(entry, str) else [entry]
    found = [_one_address(title, entry) for entry in entries]
    if len(found) > 1 and any(address.kind != "kafka" for address in found):
        raise GraphError(f"{title}: {servers!r} mixes servers of Kafka with another kind of log")
    return Address(found[0].kind, ",".join(address.name for address in found))


def _one_address(title: str, entry: Any) -> Address:
    if not isinstance(entry, str) or not entry.strip():
        raise GraphError(f"{title} needs {_NEEDED}, not {entry!r:.100}")
    entry = entry.strip()
    if entry.startswith("memory:"):
        return Address("memory", entry.removeprefix("memory:").removeprefix("//"))
    if entry.startswith("file:"):
        path = entry.removeprefix("file:")
        path = path.removeprefix("//") if path.startswith("///") else path
        if not path or path.startswith("//"):
            raise GraphError(f"{title}: {entry!r} names no folder: write 'file:path/to/folder'")
        return Address("file", str(Path(path).expanduser().resolve()))
    scheme, sign, rest = entry.partition("://")
    if sign:
        raise GraphError(
            f"{title} knows no {scheme}://: give {_NEEDED}"
            + (f", here {rest!r}" if scheme == "kafka" else "")
        )
    _, sign, port = entry.rpartition(":")
    if sign and not entry.endswith("]") and not (port.isdecimal() and 0 < int(port) < 65536):
        raise GraphError(f"{title}: {entry!r} must be host:port, and {port!r} is no port")
    return Address("kafka", entry)


def _check_values(title: str, given: Mapping[str, Any]) -> None:
    for setting, choices in _CHOICES.items():
        if given.get(setting) is not None:
            check_choice(given[setting], title, setting, choices)
    for setting in _FUNCTIONS:
        if given.get(setting) is not None and not callable(given[setting]):
            raise GraphError(f"{title}: {setting} must be a function, not {given[setting]!r:.100}")
    for setting in _SWITCHES:
        if given.get(setting) not in (None, True, False):
            raise GraphError(f"{title}: {setting} must be True or False, not {given[setting]!r}")
    for setting in ("client_id", "group_id", "group_instance_id", "transactional_id"):
        value = given.get(setting)
        if value is not None and (not isinstance(value, str) or not value):
            raise GraphError(f"{title}: {setting} must be a str that isn't empty, not {value!r}")
    for setting, value in given.items():
        if (setting.endswith(("_ms", "_bytes", "_records", "_size"))) and value is not None:
            least = 0 if setting in ("linger_ms", "fetch_min_bytes", "fetch_max_wait_ms") else 1
            kinds = int | float if setting.endswith("_ms") else int
            if isinstance(value, bool) or not isinstance(value, kinds) or value < least:
                kind = "number" if setting.endswith("_ms") else "whole number"
                raise GraphError(f"{title}: {setting} must be a {kind} from {least}, not {value!r}")
    if given.get("group_instance_id") and not given.get("group_id"):
        raise GraphError(f"{title}: group_instance_id needs a group_id")
    _check_acks(title, given)
    if given.get("enable_auto_commit"):
        warn(
            f"{title}: enable_auto_commit has no effect: offsets are committed when their records "
            f"were handled",
            UserWarning,
            stacklevel=5,
        )


def _check_acks(title: str, given: Mapping[str, Any]) -> None:
    acks = given.get("acks")
    if acks not in (None, *_ALL, 0, 1):
        raise GraphError(f"{title}: acks must be 'all', 1 or 0, not {acks!r}")
    if given.get("enable_idempotence") and acks not in (None, *_ALL):
        raise GraphError(f"{title}: enable_idempotence needs acks='all', not {acks!r}")
    careless = given.get("enable_idempotence") is False or acks not in (None, *_ALL)
    if given.get("transactional_id") and careless:
        raise GraphError(f"{title}: transactional_id needs enable_idempotence and acks='all'")


def _check_kafka(title: str, given: dict[str, Any]) -> None:
    if find_spec("aiokafka") is None:
        raise MissingExtraError("aiokafka", "kafka")
    compression = given.get("compression_type")
    if compression not in (None, "gzip") and find_spec("cramjam") is None:
        raise MissingExtraError(f"cramjam (for compression_type={compression!r})", "kafka")
    protocol: str = given.get("security_protocol") or "PLAINTEXT"
    for setting in ("ssl_context", *_SSL):
        if given.get(setting) is not None and not protocol.endswith("SSL"):
            raise GraphError(
                f"{title}: {setting} needs security_protocol='SSL' or 'SASL_SSL', not {protocol!r}"
            )
    context: Any = given.get("ssl_context")
    if context is not None and not isinstance(context, ssl.SSLContext):
        raise GraphError(f"{title}: ssl_context must be an ssl.SSLContext, not {context!r:.100}")
    for setting in given:
        if setting.startswith("sasl_") and not protocol.startswith("SASL"):
            raise GraphError(
                f"{title}: {setting} needs security_protocol='SASL_SSL' or 'SASL_PLAINTEXT', not "
                f"{protocol!r}"
            )
    mechanism: str = given.get("sasl_mechanism") or "PLAIN"
    if protocol.startswith("SASL") and (mechanism == "PLAIN" or mechanism.startswith("SCRAM")):
        missing = [
            setting
            for setting in ("sasl_plain_username", "sasl_plain_password")
            if not given.get(setting)
        ]
        if missing:
            raise GraphError(f"{title}: {mechanism} needs {' and '.join(missing)}")


def _for(title: str, given: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """What one of aiokafka's clients is given, without what we do by ourselves."""
    found = {
        name: given[name] for name in names if given.get(name) is not None and name not in _OURS
    }
    if str(given.get("security_protocol", "")).endswith("SSL") and "ssl_context" not in found:
        found["ssl_context"] = _ssl_context(title, given)
    return found


def _ssl_context(title: str, given: Mapping[str, Any]) -> ssl.SSLContext:
    """A context of the files that the user named.

    Raises:
        GraphError: one isn't there, or isn't what it should be.
    """
    certificate, key = given.get("ssl_certfile"), given.get("ssl_keyfile")
    if key is not None and certificate is None:
        raise GraphError(f"{title}: ssl_keyfile needs ssl_certfile, the certificate of this client")
    files = "ssl_cafile"
    try:
        context = ssl.create_default_context(cafile=given.get("ssl_cafile"))
        if certificate is not None:
            files = "ssl_certfile, ssl_keyfile or ssl_password"
            context.load_cert_chain(certificate, key, given.get("ssl_password"))
    except OSError as error:  # a file that isn't there, and everything that OpenSSL refuses
        paths = {name: given[name] for name in _SSL[:3] if given.get(name) is not None}
        raise GraphError(f"{title}: {files} can't be used ({error}), given {paths}") from error
    return context
