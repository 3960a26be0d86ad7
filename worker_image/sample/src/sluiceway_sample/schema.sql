-- The shop's tables, and enough orders to report on.

CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL);

CREATE TABLE orders (
  id INTEGER PRIMARY KEY,
  customer_id INTEGER NOT NULL REFERENCES customers,
  placed_on TEXT NOT NULL,
  cents INTEGER NOT NULL
);

CREATE TABLE exports (
  id INTEGER PRIMARY KEY,
  rows INTEGER NOT NULL,
  asked_at REAL NOT NULL,
  pdf BLOB                              -- NULL until it is made
);

CREATE TABLE uploads (
  id INTEGER PRIMARY KEY,
  video BLOB NOT NULL,
  processed_at REAL                     -- NULL until it is
);

CREATE TABLE emails (
  id INTEGER PRIMARY KEY,
  recipient TEXT NOT NULL,
  subject TEXT NOT NULL,
  sent_at REAL                          -- NULL until it is
);

-- The UNIQUE transaction id is what makes charging safe to repeat: whoever comes
-- second, after a crash, a retry or a second click, finds the bill already there.
CREATE TABLE charges (
  transaction_id TEXT NOT NULL UNIQUE,
  order_id INTEGER NOT NULL REFERENCES orders,
  cents INTEGER NOT NULL,
  charged_at REAL NOT NULL
);

CREATE TABLE partner_syncs (partner TEXT PRIMARY KEY, synced_at REAL NOT NULL);

-- Which of the stand-ins for other people's services answer at the moment.
CREATE TABLE services (name TEXT PRIMARY KEY, up INTEGER NOT NULL);
INSERT INTO services VALUES ('transcoder', 1), ('partner', 0);

-- What became of every task: one row each time it is published, started, finished.
CREATE TABLE task_runs (
  task_id TEXT NOT NULL,
  attempt INTEGER NOT NULL,             -- 0, and one more with every retry
  task TEXT NOT NULL,
  queue TEXT NOT NULL,
  event TEXT NOT NULL CHECK (event IN ('published', 'started', 'finished')),
  at REAL NOT NULL,                     -- Unix seconds
  due REAL,                             -- published: the earliest moment it may start
  worker TEXT,                          -- started, finished: by whom
  outcome TEXT                          -- finished: SUCCESS, FAILURE or RETRY
);
CREATE INDEX task_runs_by_id ON task_runs (task_id);

WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
INSERT INTO customers SELECT i, 'Customer ' || i FROM n;

WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25000)
INSERT INTO orders
SELECT i, 1 + i * 7919 % 200, date('2025-01-01', '+' || (i / 40) || ' days'), 500 + i * 104729 % 50000
FROM n;
