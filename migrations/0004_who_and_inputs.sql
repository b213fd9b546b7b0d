-- Who tripped or reset the kill switch and why, and what a run's inputs on market tapes were: bars, quotes and trades
-- apart. Tapes folded in before are folded in again.

ALTER TABLE trips ADD COLUMN who VARCHAR;     -- a person's name; NULL where a guard did it, or nothing says
ALTER TABLE trips ADD COLUMN why VARCHAR;     -- in that person's words
ALTER TABLE trips ADD COLUMN source VARCHAR;  -- account file, home file, signal; NULL of a guard and of a reset

-- One row a tape that leaves inputs out: how many of its seqs are elsewhere, on market tapes or retired.
CREATE TABLE left_out (
    tape VARCHAR NOT NULL,
    bars BIGINT NOT NULL,
    quotes BIGINT NOT NULL,
    trades BIGINT NOT NULL
);

ALTER TABLE checkpoint ADD COLUMN quote_rows BIGINT;  -- as bar_rows: of those on the tape itself
ALTER TABLE checkpoint ADD COLUMN trade_rows BIGINT;
UPDATE checkpoint SET quote_rows = 0, trade_rows = 0, layout = 'before 0004';  -- no such layout: see 0003

-- Bars, quotes and trades of a tape, on it or by reference. What is missing and nothing tells of is counted as bars.
CREATE VIEW v_inputs AS
SELECT c.tape,
       c.last_seq - c.rows_folded - coalesce(l.quotes + l.trades, 0) + c.bar_rows AS bars,
       c.quote_rows + coalesce(l.quotes, 0) AS quotes,
       c.trade_rows + coalesce(l.trades, 0) AS trades
FROM checkpoint c LEFT JOIN left_out l ON l.tape = c.tape;

CREATE OR REPLACE VIEW v_trips AS
SELECT tape, seq, make_timestamp_ns(ts) AS happened_at, kind, strategy, level, kill_level, reason, text, who, why, source
FROM trips;
