"""What is used of aiokafka though it isn't public, as nothing public does it."""

from __future__ import annotations

import inspect
import logging
from dataclasses import fields

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from aiokafka.client import AIOKafkaClient

import rivulet.io.kafka
from rivulet import Record


def test_its_records_have_our_fields_in_our_order():
    assert tuple(field.name for field in fields(ConsumerRecord)) == Record._fields


async def test_its_clients_have_what_we_use():
    producer, consumer = AIOKafkaProducer(), AIOKafkaConsumer()
    accumulator = producer._message_accumulator
    assert accumulator._batch_ttl > 0
    assert not accumulator._batches
    assert not accumulator._pending_batches
    assert producer._sender.sender_task is None
    assert inspect.iscoroutinefunction(AIOKafkaClient._wait_on_metadata)
    assert inspect.iscoroutinefunction(AIOKafkaClient._metadata_update)
    assert isinstance(consumer._client, AIOKafkaClient)
    await producer.stop()
    await consumer.stop()


def test_what_it_logs_is_not_printed_unless_logging_is_set_up():
    assert rivulet.io.kafka
    handlers = logging.getLogger("aiokafka").handlers
    assert any(isinstance(handler, logging.NullHandler) for handler in handlers)
