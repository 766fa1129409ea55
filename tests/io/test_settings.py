"""What is wrong in the settings of a topic is said when it is made."""

from __future__ import annotations

import inspect

import pytest

from rivulet import GraphError, JsonCodec, MissingExtraError, Stream, Topic
from rivulet.io import settings
from rivulet.io.settings import Settings

MEMORY = {"bootstrap_servers": "memory://settings"}
KAFKA = {"bootstrap_servers": "localhost:9092"}


def address(servers):
    return Settings.of("t", {"bootstrap_servers": servers}).address


def test_the_address_says_where_a_log_is(tmp_path):
    assert str(address("memory://here")) == "memory://here"
    assert address("memory:here") == address("memory://here")
    assert str(address(f"file:{tmp_path}/log")) == f"file:{tmp_path}/log"
    assert address(f"file://{tmp_path}/log") == address(f"file:{tmp_path}/log")
    assert str(address("localhost:9092")) == "localhost:9092"
    assert address("a:1,b:2") == address(["a:1", "b:2"])
    assert address("[::1]:9092").kind == "kafka"


def test_a_path_of_a_file_is_taken_from_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(address("file:log")) == f"file:{tmp_path}/log"


@pytest.mark.parametrize(
    ("servers", "message"),
    [
        (None, "needs bootstrap_servers"),
        ("", "needs bootstrap_servers"),
        ([], "needs bootstrap_servers"),
        (7, "needs bootstrap_servers"),
        ([None], "needs bootstrap_servers"),
        ("file:", "names no folder"),
        ("kafka://broker:9092", "knows no kafka://.*'broker:9092'"),
        ("redis://broker", "knows no redis://"),
        ("broker:kafka", "'kafka' is no port"),
        ("broker:99999", "'99999' is no port"),
        (["memory://a", "broker:9092"], "mixes servers"),
        ("memory://a,memory://b", "mixes servers"),
    ],
)
def test_an_address_that_is_none_is_refused(servers, message):
    with pytest.raises(GraphError, match=message):
        Topic("t", {"bootstrap_servers": servers})


def test_a_topic_without_settings_is_refused_and_falls_back_to_nothing():
    with pytest.raises(GraphError, match="needs bootstrap_servers, such as 'memory://name'"):
        Topic("t")
    with pytest.raises(GraphError, match="must be a dict"):
        Topic("t", [("bootstrap_servers", "memory://x")])


def test_an_unknown_setting_is_refused_with_the_one_that_was_meant():
    with pytest.raises(GraphError, match="no setting 'group': did you mean 'group_id'"):
        Topic("t", {**MEMORY, "group": "g"})
    with pytest.raises(GraphError, match="no setting 'colour'; known are bootstrap_servers"):
        Topic("t", {**MEMORY, "colour": 1})


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"auto_offset_reset": "first"}, "auto_offset_reset.*'earliest', 'latest', 'none'"),
        ({"isolation_level": "committed"}, "isolation_level"),
        ({"compression_type": "zip"}, "compression_type"),
        ({"security_protocol": "TLS"}, "security_protocol"),
        ({"value_serializer": "json"}, "value_serializer must be a function"),
        ({"group_id": ""}, "group_id must be a str"),
        ({"group_id": 7}, "group_id must be a str"),
        ({"group_instance_id": "one"}, "group_instance_id needs a group_id"),
        ({"session_timeout_ms": "10s"}, "session_timeout_ms must be a number"),
        ({"max_poll_records": 0}, "max_poll_records must be a whole number from 1"),
        ({"max_poll_records": 1.5}, "max_poll_records must be a whole number from 1"),
        ({"acks": "some"}, "acks must be 'all', 1 or 0, not 'some'"),
        ({"acks": 1, "enable_idempotence": True}, "enable_idempotence needs acks='all', not 1"),
        ({"enable_idempotence": "yes"}, "enable_idempotence must be True or False"),
        ({"partitioner": 3}, "partitioner must be a function"),
        ({"client_id": 3}, "client_id must be a str"),
        ({"transactional_id": "t", "acks": 1}, "transactional_id needs .* acks='all'"),
        ({"transactional_id": "t", "enable_idempotence": False}, "enable_idempotence"),
    ],
)
def test_a_setting_that_can_not_be_is_refused(conf, message):
    with pytest.raises(GraphError, match=message):
        Topic("t", {**MEMORY, **conf})


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"ssl_cafile": "ca.pem"}, "ssl_cafile needs security_protocol='SSL'"),
        ({"ssl_context": object()}, "ssl_context needs security_protocol='SSL'"),
        ({"sasl_plain_username": "ana"}, "sasl_plain_username needs security_protocol='SASL_SSL'"),
        ({"security_protocol": "SASL_PLAINTEXT"}, "sasl_plain_username and sasl_plain_password"),
        (
            {"security_protocol": "SASL_PLAINTEXT", "sasl_plain_username": "ana"},
            "PLAIN needs sasl_plain_password$",
        ),
        ({"security_protocol": "SSL", "ssl_cafile": "/no/ca.pem"}, "ssl_cafile can't be used"),
        ({"security_protocol": "SSL", "ssl_certfile": "/no/c.pem"}, "ssl_certfile, .* can't be"),
        ({"security_protocol": "SSL", "ssl_keyfile": "/no/k.pem"}, "needs ssl_certfile"),
        ({"security_protocol": "SSL", "ssl_context": 3}, "must be an ssl.SSLContext, not 3"),
    ],
)
def test_wrong_settings_of_encryption_and_users_are_refused(conf, message):
    with pytest.raises(GraphError, match=message):
        Topic("t", {**KAFKA, **conf})


def test_a_file_that_is_no_certificate_is_refused(tmp_path):
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    with pytest.raises(GraphError, match="ssl_cafile can't be used"):
        Topic("t", {**KAFKA, "security_protocol": "SSL", "ssl_cafile": str(file)})


def test_encryption_needs_no_more_than_its_protocol():
    topic = Topic("t", {**KAFKA, "security_protocol": "SSL"})
    assert topic.settings.reading["ssl_context"].check_hostname
    assert topic.settings.writing["ssl_context"].check_hostname


def test_settings_of_a_broker_mean_nothing_in_memory():
    conf = {"security_protocol": "SSL", "ssl_cafile": "/no/ca.pem", "acks": "all"}
    assert Topic("t", {**MEMORY, **conf}).settings.reading == {}


def test_auto_commit_is_said_to_have_no_effect():
    with pytest.warns(UserWarning, match="enable_auto_commit has no effect"):
        Topic("t", {**MEMORY, "enable_auto_commit": True})


def test_kafka_without_aiokafka_says_what_to_install(monkeypatch):
    monkeypatch.setattr(settings, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"rivulet-streams\[kafka\]"):
        Topic("t", KAFKA)
    assert Topic("t", MEMORY).name == "t"


def test_compression_without_its_library_says_what_to_install(monkeypatch):
    monkeypatch.setattr(settings, "find_spec", lambda name: None if name == "cramjam" else object())
    with pytest.raises(MissingExtraError, match="cramjam"):
        Topic("t", {**KAFKA, "compression_type": "zstd"})
    assert Topic("t", {**KAFKA, "compression_type": "gzip"}).name == "t"


def test_every_setting_of_aiokafkas_clients_is_known():
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

    for client, names in (
        (AIOKafkaConsumer, settings._READING),
        (AIOKafkaProducer, settings._WRITING),
    ):
        theirs = set(inspect.signature(client).parameters) - {"topics", "loop", "api_version"}
        assert {*settings._SHARED, *names} == theirs


@pytest.mark.parametrize(("acks", "idempotent"), [(None, True), ("all", True), (1, False)])
def test_sends_are_idempotent_unless_fewer_replicas_are_to_have_them(acks, idempotent):
    assert Topic("t", {**KAFKA, "acks": acks}).settings.writing["enable_idempotence"] is idempotent


def test_what_we_do_by_ourselves_is_not_passed_on():
    conf = {**KAFKA, "group_id": "g", "auto_offset_reset": "earliest", "key_deserializer": str}
    topic = Topic("t", {**conf, "linger_ms": 5, "client_id": None})
    assert topic.settings.reading == {**KAFKA, "group_id": "g"}
    assert topic.settings.writing == {**KAFKA, "linger_ms": 5, "enable_idempotence": True}


@pytest.mark.parametrize("name", ["", "a b", "a/b", ".", "..", "x" * 250, None, 7])
def test_a_name_that_kafka_refuses_is_refused_everywhere(name):
    with pytest.raises(GraphError, match="a topic's name"):
        Topic(name, MEMORY)


def test_other_arguments_are_checked():
    with pytest.raises(GraphError, match="partitions"):
        Topic("t", MEMORY, partitions=0)
    with pytest.raises(GraphError, match="'drained'"):
        Topic("t", MEMORY, end="eventually")
    with pytest.raises(GraphError, match="commit_interval"):
        Topic("t", MEMORY, commit_interval=0)
    with pytest.raises(GraphError, match="connect_timeout"):
        Topic("t", MEMORY, connect_timeout="soon")
    with pytest.raises(GraphError, match="is no offset"):
        Topic("t", MEMORY, offset=-3)
    with pytest.raises(GraphError, match="codec.*encode and decode"):
        Topic("t", MEMORY, codec=object())
    with pytest.raises(GraphError, match=r"such as JsonCodec\(\)"):
        Topic("t", MEMORY, codec=JsonCodec)
    with pytest.raises(GraphError, match="codec and a value_serializer"):
        Topic("t", {**MEMORY, "value_serializer": str.encode}, codec=JsonCodec())


def test_a_topic_shows_its_name_its_place_and_what_is_done_with_its_records():
    topic = Topic("walks", {**MEMORY, "group_id": "g"}, codec=JsonCodec())
    assert repr(topic) == "<Topic 'walks' at memory://settings>"
    shown = str(Stream(topic).to(Topic("out", MEMORY)).explain())
    for part in ("Stream(Topic('walks'))", "deliver(group='g')", "decode(JsonCodec)", "to(Topic)"):
        assert part in shown
