"""The store over CQL: ScyllaDB, and Cassandra, which speaks the same."""
