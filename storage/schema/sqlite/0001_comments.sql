-- How far each shard of the log has been written. Advanced in the transaction that writes the rows.
CREATE TABLE shards (
  shard INTEGER PRIMARY KEY,
  epoch TEXT NOT NULL,
  written_seq INTEGER NOT NULL
);

-- started_at_ms is known from the first comment on; ended_at_ms and ended_seq from the end on.
CREATE TABLE streams (
  stream_id TEXT PRIMARY KEY,
  started_at_ms INTEGER,
  ended_at_ms INTEGER,
  ended_seq INTEGER
) WITHOUT ROWID;

-- In the log's order. A comment is found by its id too: the id tells posted_at_ms, and with the stream's start the offset.
CREATE TABLE comments (
  stream_id TEXT NOT NULL,
  offset_ms INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  comment_id TEXT NOT NULL,
  author_id TEXT NOT NULL,
  author_name TEXT NOT NULL,
  text TEXT NOT NULL,
  posted_at_ms INTEGER NOT NULL,
  lag_ms INTEGER NOT NULL,
  meta_json TEXT NOT NULL,
  PRIMARY KEY (stream_id, offset_ms, seq, idx)
) WITHOUT ROWID;

-- Kept for ever: the log may bring a deleted comment once more.
CREATE TABLE deletions (
  stream_id TEXT NOT NULL,
  comment_id TEXT NOT NULL,
  deleted_seq INTEGER NOT NULL,
  PRIMARY KEY (stream_id, comment_id)
) WITHOUT ROWID;
