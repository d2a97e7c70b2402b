"""The API's description."""

DOCUMENT: dict[str, object] = {"openapi": "3.1.0", "info": {"title": "Live comments", "version": "1"}, "paths": {}}
