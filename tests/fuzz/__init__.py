"""Random visitors of an edge: what they say, and what must stay true meanwhile."""
