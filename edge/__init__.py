"""The edge: the only door for browsers and phones. Quart on Hypercorn, on trio."""
