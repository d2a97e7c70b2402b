"""Live comments: generated code, typed client, and what the four services share."""
