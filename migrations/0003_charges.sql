-- What trading costs line by line, how positions end without an order, what was refused and what tripped, in which
-- currency; and instruments that have other scales than 1/10,000. Tapes folded in before are folded in again.
-- Prices (`px`, `*_px`, `mark`) and quantities are whole numbers of their instrument's own scale, see run_instruments;
-- money is in 1/10,000 of the instrument's currency. v_ views show prices with ten places and money with four.

-- The instruments of a run, under the numbers and names they have in it.
CREATE TABLE run_instruments (
    tape VARCHAR NOT NULL,
    number INTEGER NOT NULL,    -- as on the tape
    master INTEGER NOT NULL,    -- in the home's table of instruments
    symbol VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,      -- EQUITY, FUTURE, OPTION, INDEX
    segment VARCHAR,            -- where it is charged, NULL for nowhere
    currency VARCHAR NOT NULL,
    tick BIGINT NOT NULL,
    lot BIGINT NOT NULL,
    px_scale BIGINT NOT NULL,   -- price units in one of the currency
    qty_scale BIGINT NOT NULL,  -- quantity units in one
    num BIGINT NOT NULL,        -- a quantity is worth qty * px * num / den, money
    den BIGINT NOT NULL
);

-- One row a CHARGED event: what a fill, an exercise or a delivery cost, or what a day's end charges.
CREATE TABLE charges (
    tape VARCHAR NOT NULL,
    seq BIGINT NOT NULL,
    ts BIGINT NOT NULL,
    cause BIGINT NOT NULL,      -- seq of the fill, the EXPIRY or the TIMER
    strategy VARCHAR,
    symbol VARCHAR,
    order_id BIGINT,            -- NULL for none
    brokerage BIGINT NOT NULL,  -- negative where the day's note comes to less than its fills
    stt BIGINT NOT NULL,
    transaction BIGINT NOT NULL,
    ipft BIGINT NOT NULL,
    sebi BIGINT NOT NULL,
    stamp BIGINT NOT NULL,
    gst BIGINT NOT NULL,
    dp BIGINT NOT NULL,
    total BIGINT NOT NULL
);

-- One row a SETTLED event: what the end of a day or of a contract did to a position.
CREATE TABLE settlements (
    tape VARCHAR NOT NULL,
    seq BIGINT NOT NULL,
    ts BIGINT NOT NULL,
    cause BIGINT NOT NULL,
    strategy VARCHAR,
    symbol VARCHAR,
    reason VARCHAR,             -- VARIATION, EXERCISED, INSTRUMENT_EXPIRED or DELIVERED
    side VARCHAR,               -- BUY or SELL, NULL for VARIATION
    qty BIGINT NOT NULL,
    px BIGINT NOT NULL,
    charges BIGINT NOT NULL,
    realized BIGINT NOT NULL,   -- by it, before charges
    position_qty BIGINT NOT NULL, -- after it
    position_cost BIGINT NOT NULL
);

-- One row an ORDER_DENIED: what was refused, and what was allowed.
CREATE TABLE denials (
    tape VARCHAR NOT NULL,
    seq BIGINT NOT NULL,        -- its order_id
    ts BIGINT NOT NULL,
    cause BIGINT NOT NULL,      -- its signal
    strategy VARCHAR,
    symbol VARCHAR,
    reason VARCHAR,
    actual BIGINT NOT NULL,     -- in the units of the limit
    allowed BIGINT NOT NULL,
    text VARCHAR NOT NULL       -- both in plain words: COLLAR 96.95 allowed 97.00
);

-- When the kill switch or a guard of a strategy was tripped, and when a person reset the switch.
CREATE TABLE trips (
    tape VARCHAR NOT NULL,
    seq BIGINT NOT NULL,
    ts BIGINT NOT NULL,
    kind VARCHAR NOT NULL,      -- TRIPPED or KILL_RESET
    strategy VARCHAR,           -- the one that was stopped; account: the kill switch
    level VARCHAR,              -- asked for; NULL of a strategy
    kill_level VARCHAR NOT NULL, -- of the switch, after it
    reason VARCHAR,
    measured BIGINT NOT NULL,   -- in the units of the limit, 0 where a person did it
    bound BIGINT NOT NULL,
    text VARCHAR NOT NULL       -- in plain words
);

-- The account by currency, at the checkpoint.
CREATE TABLE balances (
    tape VARCHAR NOT NULL,
    currency VARCHAR NOT NULL,
    cash BIGINT NOT NULL,
    reserved BIGINT NOT NULL,   -- set aside for working orders
    hold BIGINT NOT NULL,       -- margin and collateral of positions
    unsettled BIGINT NOT NULL,  -- proceeds of sales that have not arrived
    realized BIGINT NOT NULL,
    fees BIGINT NOT NULL,
    dividends BIGINT NOT NULL,
    paid_in BIGINT NOT NULL,
    rate BIGINT NOT NULL        -- in the account's own currency, 1e-9; 0: never told
);

ALTER TABLE fills ADD COLUMN charges BIGINT;      -- part of `fee`: the rest is what the venue itself took
ALTER TABLE accounts ADD COLUMN kill_level VARCHAR; -- and all else here is of the account's own currency
ALTER TABLE account_changes ADD COLUMN kill_level VARCHAR;
ALTER TABLE position_changes ALTER COLUMN qty DROP NOT NULL;  -- NULL where only charges came, cost too
ALTER TABLE position_changes ALTER COLUMN cost DROP NOT NULL;
ALTER TABLE orders ALTER COLUMN filled_value TYPE HUGEINT;    -- sums of qty * px, whatever their scales
ALTER TABLE trades ALTER COLUMN entry_value TYPE HUGEINT;
ALTER TABLE trades ALTER COLUMN exit_value TYPE HUGEINT;

UPDATE checkpoint SET layout = 'before 0003'; -- no such layout: the projector drops the tape and folds it in anew

-- A whole number of price units as an exact amount of the currency.
CREATE MACRO price(px, scale) AS
    (px::HUGEINT * (10_000_000_000 // coalesce(scale, 10_000)))::DECIMAL(28) * 0.0000000001;

-- What a quantity is worth, money, to the nearest unit, a tie to the even one: as the kernel has it.
CREATE MACRO worth(qty, px, num, den) AS (
    sign(qty::DOUBLE) * sign(px::DOUBLE))::INTEGER * (
    abs(qty::HUGEINT * px * num) // den + (
        abs(qty::HUGEINT * px * num) % den * 2 + abs(qty::HUGEINT * px * num) // den % 2 > den)::INTEGER
);

CREATE OR REPLACE VIEW v_orders AS
SELECT o.tape, o.order_id, o.strategy, o.symbol, o.side, o.order_type, o.tif, o.status, o.qty, o.cum_qty, o.leaves_qty,
       price(nullif(o.px, 0), i.px_scale) AS limit_price,
       price(nullif(o.trigger_px, 0), i.px_scale) AS trigger_price,
       price(o.avg_fill_px, i.px_scale) AS average_fill_price,
       o.fees::DECIMAL(34) * 0.0001 AS fees,
       o.reason, o.reason_text,
       make_timestamp_ns(o.submitted_ts) AS submitted_at, make_timestamp_ns(o.last_ts) AS last_at
FROM orders o LEFT JOIN run_instruments i ON i.tape = o.tape AND i.symbol = o.symbol;

CREATE OR REPLACE VIEW v_signals AS
SELECT s.tape, s.seq, make_timestamp_ns(s.ts) AS happened_at, s.strategy, s.symbol, s.side, s.order_type, s.tif, s.qty,
       price(nullif(s.px, 0), i.px_scale) AS limit_price,
       price(nullif(s.trigger_px, 0), i.px_scale) AS trigger_price,
       s.strength, s.cause
FROM signals s LEFT JOIN run_instruments i ON i.tape = s.tape AND i.symbol = s.symbol;

CREATE OR REPLACE VIEW v_fills AS
SELECT f.tape, f.seq, make_timestamp_ns(f.ts) AS happened_at, f.order_id, f.strategy, f.symbol, f.side, f.qty,
       price(f.px, i.px_scale) AS price,
       f.fee::DECIMAL(34) * 0.0001 AS fee,
       f.charges::DECIMAL(34) * 0.0001 AS charges,
       f.realized::DECIMAL(34) * 0.0001 AS realized,
       f.position_qty,
       f.cash::DECIMAL(34) * 0.0001 AS cash
FROM fills f LEFT JOIN run_instruments i ON i.tape = f.tape AND i.symbol = f.symbol;

CREATE OR REPLACE VIEW v_positions AS
SELECT p.tape, p.strategy, p.symbol, p.qty,
       p.cost::DECIMAL(34) * 0.0001 AS cost,
       price(p.mark, i.px_scale) AS mark,
       (worth(p.qty, p.mark, i.num, i.den) - p.cost)::DECIMAL(34) * 0.0001 AS unrealized,
       p.realized::DECIMAL(34) * 0.0001 AS realized,
       p.fees::DECIMAL(34) * 0.0001 AS fees,
       p.dividends::DECIMAL(34) * 0.0001 AS dividends,
       make_timestamp_ns(nullif(p.last_fill_ts, 0)) AS last_fill_at
FROM positions p LEFT JOIN run_instruments i ON i.tape = p.tape AND i.symbol = p.symbol;

CREATE OR REPLACE VIEW v_trades AS
SELECT t.tape, t.strategy, t.symbol, t.side, t.max_qty AS qty,
       make_timestamp_ns(t.opened_ts) AS opened_at, make_timestamp_ns(t.closed_ts) AS closed_at,
       price(t.entry_px, i.px_scale) AS entry_price,
       price(t.exit_px, i.px_scale) AS exit_price,
       t.realized::DECIMAL(34) * 0.0001 AS realized,
       t.fees::DECIMAL(34) * 0.0001 AS fees,
       t.pnl::DECIMAL(34) * 0.0001 AS pnl,
       t.opened_seq, t.closed_seq
FROM trades t LEFT JOIN run_instruments i ON i.tape = t.tape AND i.symbol = t.symbol;

CREATE VIEW v_charges AS
SELECT c.tape, c.seq, make_timestamp_ns(c.ts) AS happened_at, make_timestamp(c.ts // 1000)::DATE AS day, c.strategy,
       c.symbol, i.segment, i.currency, c.order_id,
       c.brokerage::DECIMAL(34) * 0.0001 AS brokerage,
       c.stt::DECIMAL(34) * 0.0001 AS stt,
       c.transaction::DECIMAL(34) * 0.0001 AS transaction,
       c.ipft::DECIMAL(34) * 0.0001 AS ipft,
       c.sebi::DECIMAL(34) * 0.0001 AS sebi,
       c.stamp::DECIMAL(34) * 0.0001 AS stamp,
       c.gst::DECIMAL(34) * 0.0001 AS gst,
       c.dp::DECIMAL(34) * 0.0001 AS dp,
       c.total::DECIMAL(34) * 0.0001 AS total
FROM charges c LEFT JOIN run_instruments i ON i.tape = c.tape AND i.symbol = c.symbol;

CREATE VIEW v_settlements AS
SELECT s.tape, s.seq, make_timestamp_ns(s.ts) AS happened_at, s.strategy, s.symbol, s.reason, s.side, s.qty,
       price(s.px, i.px_scale) AS price,
       s.charges::DECIMAL(34) * 0.0001 AS charges,
       s.realized::DECIMAL(34) * 0.0001 AS realized,
       s.position_qty
FROM settlements s LEFT JOIN run_instruments i ON i.tape = s.tape AND i.symbol = s.symbol;

CREATE VIEW v_denials AS
SELECT tape, seq, make_timestamp_ns(ts) AS happened_at, strategy, symbol, reason, text FROM denials;

CREATE VIEW v_trips AS
SELECT tape, seq, make_timestamp_ns(ts) AS happened_at, kind, strategy, level, kill_level, reason, text FROM trips;

CREATE VIEW v_balances AS
SELECT tape, currency,
       cash::DECIMAL(34) * 0.0001 AS cash,
       reserved::DECIMAL(34) * 0.0001 AS reserved,
       hold::DECIMAL(34) * 0.0001 AS hold,
       unsettled::DECIMAL(34) * 0.0001 AS unsettled,
       realized::DECIMAL(34) * 0.0001 AS realized,
       fees::DECIMAL(34) * 0.0001 AS fees,
       dividends::DECIMAL(34) * 0.0001 AS dividends,
       paid_in::DECIMAL(34) * 0.0001 AS paid_in,
       nullif(rate, 0)::DECIMAL(28) * 0.000000001 AS rate
FROM balances;

CREATE OR REPLACE VIEW v_order_history AS
SELECT h.tape, h.order_id, h.valid_from, h.valid_to, h.status, h.qty,
       price(nullif(h.px, 0), i.px_scale) AS limit_price, price(nullif(h.trigger_px, 0), i.px_scale) AS trigger_price,
       h.cum_qty, h.leaves_qty, h.reason, h.happened_at
FROM (
    SELECT tape, order_id, seq AS valid_from, lead(seq) OVER each_order AS valid_to, status,
           last_value(qty IGNORE NULLS) OVER so_far AS qty,
           last_value(px IGNORE NULLS) OVER so_far AS px,
           last_value(trigger_px IGNORE NULLS) OVER so_far AS trigger_px,
           cum_qty, leaves_qty, reason, make_timestamp_ns(ts) AS happened_at
    FROM order_changes
    WINDOW each_order AS (PARTITION BY tape, order_id ORDER BY seq),
           so_far AS (PARTITION BY tape, order_id ORDER BY seq ROWS UNBOUNDED PRECEDING)
) h
LEFT JOIN orders o ON o.tape = h.tape AND o.order_id = h.order_id
LEFT JOIN run_instruments i ON i.tape = o.tape AND i.symbol = o.symbol;

CREATE OR REPLACE VIEW v_position_history AS
SELECT tape, strategy, symbol, seq AS valid_from, lead(seq) OVER each_position AS valid_to,
       coalesce(last_value(qty IGNORE NULLS) OVER so_far, 0) AS qty,
       coalesce(last_value(cost IGNORE NULLS) OVER so_far, 0)::DECIMAL(34) * 0.0001 AS cost,
       (sum(realized) OVER so_far)::DECIMAL(34) * 0.0001 AS realized,
       (sum(fees) OVER so_far)::DECIMAL(34) * 0.0001 AS fees,
       (sum(dividends) OVER so_far)::DECIMAL(34) * 0.0001 AS dividends,
       make_timestamp_ns(ts) AS happened_at
FROM position_changes
WINDOW each_position AS (PARTITION BY tape, strategy, symbol ORDER BY seq),
       so_far AS (PARTITION BY tape, strategy, symbol ORDER BY seq ROWS UNBOUNDED PRECEDING);

CREATE OR REPLACE VIEW v_account_history AS
SELECT tape, seq AS valid_from, lead(seq) OVER (PARTITION BY tape ORDER BY seq) AS valid_to,
       cash::DECIMAL(34) * 0.0001 AS cash,
       reserved::DECIMAL(34) * 0.0001 AS reserved,
       realized::DECIMAL(34) * 0.0001 AS realized,
       fees::DECIMAL(34) * 0.0001 AS fees,
       dividends::DECIMAL(34) * 0.0001 AS dividends,
       paid_in::DECIMAL(34) * 0.0001 AS paid_in,
       open_orders, trading_state, kill_level, make_timestamp_ns(ts) AS happened_at
FROM account_changes;

-- A charge comes right after its fill, with a seq of its own: `fees` are without it until then.
CREATE OR REPLACE MACRO orders_as_of(tape_name, as_of) AS TABLE
SELECT o.tape, o.order_id, o.signal_seq, o.strategy, o.symbol, o.side, o.order_type, o.tif, c.qty, c.px, c.trigger_px,
       c.status, c.cum_qty, c.leaves_qty, coalesce(f.filled_value, 0) AS filled_value,
       (coalesce(f.fees, 0) + coalesce(g.fees, 0))::BIGINT AS fees,
       if(c.cum_qty > 0, ((coalesce(f.filled_value, 0) * 2 + c.cum_qty) // (c.cum_qty::HUGEINT * 2))::BIGINT,
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
    SELECT order_id, sum(qty::HUGEINT * px) AS filled_value, sum(fee - charges) AS fees
    FROM fills WHERE tape = tape_name AND seq <= as_of GROUP BY order_id
) f ON f.order_id = o.order_id
LEFT JOIN (
    SELECT order_id, sum(total) AS fees FROM charges WHERE tape = tape_name AND seq <= as_of GROUP BY order_id
) g ON g.order_id = o.order_id
WHERE o.tape = tape_name AND is_known(tape_name, as_of);

CREATE OR REPLACE MACRO positions_as_of(tape_name, as_of) AS TABLE
SELECT p.tape, p.strategy, p.symbol, coalesce(arg_max(p.qty, p.seq), 0) AS qty,
       coalesce(arg_max(p.cost, p.seq), 0) AS cost,
       sum(p.realized)::BIGINT AS realized, sum(p.fees)::BIGINT AS fees, sum(p.dividends)::BIGINT AS dividends,
       max(p.seq) AS last_seq
FROM position_changes p
WHERE p.tape = tape_name AND p.seq <= as_of AND is_known(tape_name, as_of)
GROUP BY p.tape, p.strategy, p.symbol;
