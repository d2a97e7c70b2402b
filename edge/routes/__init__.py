"""The HTTP API (design.md, section 7), one module for each kind of thing."""
