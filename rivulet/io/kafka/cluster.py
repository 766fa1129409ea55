"""Reaching a Kafka cluster, and its errors as one line each."""

# pyright: reportMissingTypeStubs=false
from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Collection, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from socket import gaierror
from ssl import SSLCertVerificationError
from typing import TYPE_CHECKING, Any, Final, cast, final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    BrokerResponseError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    InvalidProducerEpoch,
    KafkaError,
    MessageSizeTooLargeError,
    NotLeaderForPartitionError,
    ProducerFenced,
    RecordListTooLargeError,
    SaslAuthenticationFailed,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnknownTopicOrPartitionError,
    UnsupportedSaslMechanismError,
)

from rivulet.errors import TopicError
from rivulet.io.settings import Address, Settings

if TYPE_CHECKING:
    from rivulet.io.topic import Topic

__all__ = ["LOOK", "STOPPING", "Presence", "own_error", "own_errors", "pace", "reach"]

LOOK: Final = 1.0
"""Seconds between two looks at whether a topic is still there, while nothing else happens."""
MISSED: Final = 10.0
"""Seconds after which a topic that isn't there any more is taken to be deleted."""
STOPPING: Final = 10.0
"""Seconds that a consumer has to leave its group, and a producer to end a transaction."""

_Client: Any = AIOKafkaClient
_Admin: Any = AIOKafkaAdminClient
_REFUSALS: Final = (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
_SHORTEST, _LONGEST = 0.1, 2.0
"""Seconds between two attempts to connect, growing from one to the other."""
_NETWORK: Final = (
    *("bootstrap_servers", "client_id", "connections_max_idle_ms", "request_timeout_ms"),
    *("security_protocol", "ssl_context", "sasl_mechanism", "sasl_plain_username"),
    *("sasl_plain_password", "sasl_kerberos_service_name", "sasl_kerberos_domain_name"),
    "sasl_oauth_token_provider",
)


@final
class Presence:
    """Whether a topic is still there. A client goes on looking for one that was deleted.

    Args:
        topic: its name.
        address: where it is.
        partitions: gives its partitions, as far as the client knows; none if it is missing.
    """

    def __init__(self, topic: str, address: Address, partitions: Callable[[], object]) -> None:
        self._topic = topic
        self._address = address
        self._partitions = partitions
        self._since: float | None = None

    def check(self) -> None:
        """See whether it is there, or was until recently.

        Raises:
            TopicError: it is gone.
        """
        if self._partitions():
            self._since = None
        elif self._since is None:
            self._since = time.monotonic()
        elif time.monotonic() - self._since > MISSED:
            raise TopicError(
                f"the topic {self._topic!r} at {self._address} is not there any more: it was "
                f"deleted"
            )


async def reach(topic: Topic, name: str, partitions: int | None) -> None:
    """See that a broker answers and has a topic, or can be given it.

    Raises:
        TopicError: it doesn't, within ``connect_timeout``.
    """
    settings = topic.settings
    limit = time.monotonic() + topic.connect_timeout
    network = {name: settings.reading[name] for name in _NETWORK if name in settings.reading}
    async with _client(topic, network, limit) as client:
        try:
            async with asyncio.timeout(max(0.1, limit - time.monotonic())):
                await _require(settings.address, name, partitions, client, network)
        except (TimeoutError, UnknownTopicOrPartitionError) as error:
            raise TopicError(
                f"there is no topic {name!r} at {settings.address} after "
                f"{topic.connect_timeout:g} s: make it, or give Topic(partitions=) to have it made"
            ) from error
        except KafkaError as error:
            raise own_error(error, topic, "use") from error


@asynccontextmanager
async def _client(topic: Topic, network: dict[str, Any], limit: float) -> AsyncGenerator[Any]:
    pause = _SHORTEST
    while True:
        client = _Client(**{"client_id": "rivulet", **network})
        reasons: list[BaseException] = []
        try:
            with _gathered(reasons):
                async with asyncio.timeout(max(0.1, limit - time.monotonic())):
                    await client.bootstrap()
        except (KafkaError, TimeoutError) as error:
            await client.close()
            reason = reasons[-1] if reasons else error
            if isinstance(reason, (*_REFUSALS, SSLCertVerificationError)):
                raise own_error(reason, topic, "use") from error
            if time.monotonic() + pause > limit:
                raise TopicError(
                    f"no broker of Kafka answers at {topic.settings.address} for {topic.name!r} "
                    f"within {topic.connect_timeout:g} s: {_text(reason)}{_hint(topic, reason)}"
                ) from error
            await asyncio.sleep(pause)
            pause = min(_LONGEST, pause * 2)
            continue
        except BaseException:
            await client.close()
            raise
        try:
            yield client
        finally:
            await client.close()
        return


async def _require(
    address: Address, name: str, partitions: int | None, client: Any, network: dict[str, Any]
) -> None:
    """See that a topic is there; make it where the user has said of what size."""
    if partitions is not None:
        admin = _Admin(**{"client_id": "rivulet", **network})
        try:
            await admin.start()
            if name not in await admin.list_topics():
                new = NewTopic(name, partitions, 1)
                new.replication_factor = -1  # what the brokers say
                with suppress(TopicAlreadyExistsError):
                    _check_made(await admin.create_topics([new]), name)
        finally:
            await admin.close()
    found = await client._wait_on_metadata(name)
    if partitions not in (None, len(found)):
        raise TopicError(
            f"the topic {name!r} at {address} has {len(found)} partitions, not {partitions}"
        )


def _check_made(answer: Any, name: str) -> None:
    for _, code, text in answer.topic_errors:
        if code not in (0, TopicAlreadyExistsError.errno):
            raise TopicError(f"the topic {name!r} can't be made: {text} (error {code})")


def pace(client: Any, topics: Callable[[], Collection[str]]) -> None:
    """Have a client pause before it asks again where partitions are.

    Without it, it asks thousands of times a second while brokers are away or a topic has no leader.

    Args:
        client: aiokafka's client below a consumer or a producer.
        topics: gives the topics that are used.
    """
    update = client._metadata_update

    async def paced(cluster: Any, asked: Any) -> bool:
        found = await update(cluster, asked)
        if not found or not all(_has_leaders(cluster, topic) for topic in topics()):
            await asyncio.sleep(_SHORTEST)
        return found

    client._metadata_update = paced


def _has_leaders(cluster: Any, topic: str) -> bool:
    partitions = cluster.partitions_for_topic(topic)
    return bool(partitions) and cluster.available_partitions_for_topic(topic) == partitions


@contextmanager
def _gathered(found: list[BaseException]) -> Generator[None]:
    """What aiokafka logs about attempts to connect, which its own error doesn't say."""
    logger = logging.getLogger("aiokafka")
    handler = _Reasons(found)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@final
class _Reasons(logging.Handler):
    def __init__(self, found: list[BaseException]) -> None:
        super().__init__(logging.WARNING)
        self._found = found

    def emit(self, record: logging.LogRecord) -> None:
        arguments = cast("tuple[object, ...]", record.args or ())
        self._found.extend(x for x in arguments if isinstance(x, BaseException))


# Errors


@contextmanager
def own_errors(topic: Topic, what: str) -> Generator[None]:
    """Errors of aiokafka as our own, around what is done with a topic."""
    try:
        yield
    except KafkaError as error:
        raise own_error(error, topic, what) from error


def _text(error: BaseException) -> str:
    name = type(error).__name__
    if isinstance(error, BrokerResponseError) and error.description:
        return f"{name}: {' '.join(error.description.split())}"
    text = str(error)
    return text if name in text else f"{name}: {text}".removesuffix(": ")


def _hint(topic: Topic, reason: BaseException) -> str:
    """What else may be wrong where something answers, but not as a broker should."""
    if isinstance(reason, ConnectionRefusedError | gaierror):
        return ""
    return f" (with security_protocol={topic.settings.get('security_protocol', 'PLAINTEXT')!r})"


def own_error(error: BaseException, topic: Topic, what: str) -> TopicError:
    """An error of aiokafka as one line that says what can be done."""
    settings: Settings = topic.settings
    transaction: str | None = settings.get("transactional_id")
    match error:
        case _ if isinstance(error, _REFUSALS):
            text = f"the broker refuses the credentials ({_text(error)})"
        case SSLCertVerificationError():
            text = (
                f"the broker's certificate isn't trusted ({error.verify_message}): give the one "
                f"that signed it as ssl_cafile"
            )
        case TopicAuthorizationFailedError():
            text = f"this user has no right to {what} the topic"
        case GroupAuthorizationFailedError():
            text = f"this user has no right to the group {settings.group!r}"
        case TransactionalIdAuthorizationFailed():
            text = f"this user has no right to the transactional_id {transaction!r}"
        case ClusterAuthorizationFailedError():
            text = (
                "this user has no right to write idempotently: grant IdempotentWrite, or set "
                "enable_idempotence=False"
            )
        case MessageSizeTooLargeError() | RecordListTooLargeError():
            text = "a record is larger than the broker takes (message.max.bytes)"
        case UnknownTopicOrPartitionError():
            text = "there is no such topic or partition"
        case NotLeaderForPartitionError():
            text = "there is no such topic any more, or its partition has no leader"
        case ProducerFenced() | InvalidProducerEpoch():
            text = f"another producer with the transactional_id {transaction!r} has taken over"
        case _:
            text = _text(error)
    return TopicError(f"can't {what} {topic!r}: {text}")
