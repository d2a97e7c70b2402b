"""The write path: checks, limits, orders and commits what happens in a stream (design.md, section 3).

In the order in which a comment passes: ``comment_service`` (gRPC) · ``ingest`` (many posts over one call) · ``rules``
(what is a good comment) · ``committers`` (one committer a stream) · ``commit`` (group commit) · ``ledger`` (what is
decided, and on what grounds: ``requests``, ``limits``, ``bans``) · ``fence`` (who may append) · ``stream_log`` (the log
of one stream: ``gist``, what a core that takes over reads of it, and ``replay``, how).
"""
