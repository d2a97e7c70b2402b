"""WebSockets at the edge."""
