-- What orders, positions and the account were after every event that changed them, so that any of them can be asked
-- for as of a seq. Rows are only ever added; a state holds from its seq until the next one of the same thing
-- (valid_from and valid_to of the v_*_history views). Tapes folded in before this migration are folded in again.

-- One row an event of an order.
CREATE TABLE order_changes (
    tape VARCHAR NOT NULL,
    seq BIGINT NOT NULL,
    ts BIGINT NOT NULL,
    ts_init BIGINT NOT NULL,
    order_id BIGINT NOT NULL,
    status VARCHAR,
    qty BIGINT,                 -- NULL where the event left the terms as they were, px and trigger_px too
    px BIGINT,
    trigger_px BIGINT,
    cum_qty BIGINT,
    leaves_qty BIGINT,
    reason VARCHAR
);

-- One row a fill, and one a position that a split or dividend changed.
CREATE TABLE position_changes (
    tape VARCHAR NOT NULL,
    seq BIGINT NOT NULL,
    ts BIGINT NOT NULL,
    ts_init BIGINT NOT NULL,
    strategy VARCHAR,
    symbol VARCHAR,
    qty BIGINT NOT NULL,        -- after it
    cost BIGINT NOT NULL,       -- after it
    realized BIGINT NOT NULL,   -- by it, before fees
    fees BIGINT NOT NULL,       -- by it
    dividends BIGINT NOT NULL   -- by it
);

-- The account after an event that changed it. What hangs on marks is not here: a backtest's bars are not on its tape.
CREATE TABLE account_changes (
    tape VARCHAR NOT NULL,
    seq BIGINT NOT NULL,
    ts BIGINT NOT NULL,
    ts_init BIGINT NOT NULL,
    cash BIGINT NOT NULL,
    reserved BIGINT NOT NULL,
    realized BIGINT NOT NULL,
    fees BIGINT NOT NULL,
    dividends BIGINT NOT NULL,
    paid_in BIGINT NOT NULL,
    open_orders BIGINT NOT NULL,
    trading_state VARCHAR NOT NULL
);

UPDATE checkpoint SET layout = 'before 0002'; -- no such layout: the projector drops the tape and folds it in anew

CREATE VIEW v_order_history AS
SELECT tape, order_id, seq AS valid_from, lead(seq) OVER each_order AS valid_to, status,
       last_value(qty IGNORE NULLS) OVER so_far AS qty,
       nullif(last_value(px IGNORE NULLS) OVER so_far, 0)::DECIMAL(34) * 0.0001 AS limit_price,
       nullif(last_value(trigger_px IGNORE NULLS) OVER so_far, 0)::DECIMAL(34) * 0.0001 AS trigger_price,
       cum_qty, leaves_qty, reason, make_timestamp_ns(ts) AS happened_at
FROM order_changes
WINDOW each_order AS (PARTITION BY tape, order_id ORDER BY seq),
       so_far AS (PARTITION BY tape, order_id ORDER BY seq ROWS UNBOUNDED PRECEDING);

CREATE VIEW v_position_history AS
SELECT tape, strategy, symbol, seq AS valid_from, lead(seq) OVER each_position AS valid_to, qty,
       cost::DECIMAL(34) * 0.0001 AS cost,
       (sum(realized) OVER so_far)::DECIMAL(34) * 0.0001 AS realized,
       (sum(fees) OVER so_far)::DECIMAL(34) * 0.0001 AS fees,
       (sum(dividends) OVER so_far)::DECIMAL(34) * 0.0001 AS dividends,
       make_timestamp_ns(ts) AS happened_at
FROM position_changes
WINDOW each_position AS (PARTITION BY tape, strategy, symbol ORDER BY seq),
       so_far AS (PARTITION BY tape, strategy, symbol ORDER BY seq ROWS UNBOUNDED PRECEDING);

CREATE VIEW v_account_history AS
SELECT tape, seq AS valid_from, lead(seq) OVER (PARTITION BY tape ORDER BY seq) AS valid_to,
       cash::DECIMAL(34) * 0.0001 AS cash,
       reserved::DECIMAL(34) * 0.0001 AS reserved,
       realized::DECIMAL(34) * 0.0001 AS realized,
       fees::DECIMAL(34) * 0.0001 AS fees,
       dividends::DECIMAL(34) * 0.0001 AS dividends,
       paid_in::DECIMAL(34) * 0.0001 AS paid_in,
       open_orders, trading_state, make_timestamp_ns(ts) AS happened_at
FROM account_changes;

-- As of a seq: the state right after that event. A tape that is not here, or not so far, is an error, never an answer.
CREATE MACRO is_known(tape_name, as_of) AS (
    SELECT CASE WHEN max(c.last_seq) IS NULL THEN error('the read models here hold no tape ' || tape_name)
                WHEN max(c.last_seq) < as_of THEN error(
                    'tape ' || tape_name || ' is known up to seq ' || max(c.last_seq) || ' here, not ' || as_of)
                ELSE true END
    FROM checkpoint c WHERE c.tape = tape_name
);

-- The last seq that was there at a moment (UTC), 0 for none.
CREATE MACRO seq_at(tape_name, moment) AS (
    SELECT coalesce(max(c.seq), 0)
    FROM (SELECT tape, seq, ts_init FROM account_changes UNION ALL SELECT tape, seq, ts_init FROM order_changes) c
    WHERE c.tape = tape_name AND c.ts_init <= epoch_ns(moment::TIMESTAMP_NS)
);

CREATE MACRO orders_as_of(tape_name, as_of) AS TABLE
SELECT o.tape, o.order_id, o.signal_seq, o.strategy, o.symbol, o.side, o.order_type, o.tif, c.qty, c.px, c.trigger_px,
       c.status, c.cum_qty, c.leaves_qty, coalesce(f.filled_value, 0) AS filled_value, coalesce(f.fees, 0) AS fees,
       if(c.cum_qty > 0, ((coalesce(f.filled_value, 0)::HUGEINT * 2 + c.cum_qty) // (c.cum_qty::HUGEINT * 2))::BIGINT,
          NULL) AS avg_fill_px,
       c.reason, o.submitted_ts, c.last_ts, c.last_seq
FROM orders o
JOIN (
    SELECT order_id, arg_max(qty, seq) AS qty, arg_max(px, seq) AS px, arg_max(trigger_px, seq) AS trigger_px,
           arg_max(status, seq) AS status, arg_max(cum_qty, seq) AS cum_qty, arg_max(leaves_qty, seq) AS leaves_qty,
           arg_max_null(reason, seq) AS reason, arg_max(ts, seq) AS last_ts, max(seq) AS last_seq
    FROM order_changes WHERE tape = tape_name AND seq <= as_of GROUP BY order_id
) c ON c.order_id = o.order_id
LEFT JOIN (
    SELECT order_id, sum(qty::HUGEINT * px)::BIGINT AS filled_value, sum(fee)::BIGINT AS fees
    FROM fills WHERE tape = tape_name AND seq <= as_of GROUP BY order_id
) f ON f.order_id = o.order_id
WHERE o.tape = tape_name AND is_known(tape_name, as_of);

CREATE MACRO positions_as_of(tape_name, as_of) AS TABLE
SELECT p.tape, p.strategy, p.symbol, arg_max(p.qty, p.seq) AS qty, arg_max(p.cost, p.seq) AS cost,
       sum(p.realized)::BIGINT AS realized, sum(p.fees)::BIGINT AS fees, sum(p.dividends)::BIGINT AS dividends,
       max(p.seq) AS last_seq
FROM position_changes p
WHERE p.tape = tape_name AND p.seq <= as_of AND is_known(tape_name, as_of)
GROUP BY p.tape, p.strategy, p.symbol;

CREATE MACRO account_as_of(tape_name, as_of) AS TABLE
SELECT a.*
FROM account_changes a
WHERE a.tape = tape_name AND a.seq <= as_of AND is_known(tape_name, as_of)
ORDER BY a.seq DESC LIMIT 1;

CREATE MACRO orders_at(tape_name, moment) AS TABLE
SELECT * FROM orders_as_of(tape_name, seq_at(tape_name, moment));

CREATE MACRO positions_at(tape_name, moment) AS TABLE
SELECT * FROM positions_as_of(tape_name, seq_at(tape_name, moment));

CREATE MACRO account_at(tape_name, moment) AS TABLE
SELECT * FROM account_as_of(tape_name, seq_at(tape_name, moment));
