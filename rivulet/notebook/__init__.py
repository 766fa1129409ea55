"""What is seen of a stream: as text, as code, as a picture."""
