"""Generated from ``protos/livecomments/v1`` by ``scripts/generate``."""
