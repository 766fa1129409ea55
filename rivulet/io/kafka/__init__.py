"""Topics of a Kafka cluster. Nothing outside of this package knows aiokafka."""

import logging

from rivulet.io.kafka.consumer import KafkaConsumer
from rivulet.io.kafka.producer import KafkaProducer

__all__ = ["KafkaConsumer", "KafkaProducer"]

# Without this, what aiokafka logs is printed where nobody has set up logging.
logging.getLogger("aiokafka").addHandler(logging.NullHandler())
