"""What every process needs: settings, logs, metrics, clock, health and the supervised Kafka producer."""
