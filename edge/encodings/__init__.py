"""How a feed is written for each kind of viewer: pure functions from the log's messages to bytes."""
