"""The GraphQL edge: events in, features out. Knows the ports of the store and of Kafka, never their drivers."""
