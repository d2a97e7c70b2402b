"""The way out: NATS in, gRPC streams out; windows, rings, gap repair, viewer counts (design.md, section 4)."""
