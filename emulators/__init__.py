"""The outside world on one machine: Cloud Storage, BigQuery and the source, as real servers on 127.0.0.1."""
