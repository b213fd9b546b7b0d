-- The read models. Every table is a fold of one or more tapes; `tape` names the tape a row comes from.
-- Money and prices are exact integers in 1/10,000 of the currency, times are ns UTC (`ts`, `*_ts`), `seq` is the place
-- in the tape. The v_ views show the same rows with amounts as decimals and times as timestamps (`*_at`, UTC).
-- Nothing here is the truth: drop any of it and the projector rebuilds it from the tape.

-- How far each tape is folded in. Saved in the same transaction as the rows.
CREATE TABLE checkpoint (
    tape VARCHAR PRIMARY KEY,
    last_seq BIGINT NOT NULL,   -- rows up to here are in the read models
    rows_folded BIGINT NOT NULL,
    bar_rows BIGINT NOT NULL,   -- bars among them; a backtest's bars are held by reference and only leave gaps in seq
    first_ts BIGINT NOT NULL,   -- ts_init of the first and the last row
    last_ts BIGINT NOT NULL,
    ended BOOLEAN NOT NULL,     -- RUN_ENDED was seen last of all
    layout VARCHAR NOT NULL     -- of the kernel's tables in fold_state; another layout means rebuild
);

-- The kernel's tables at the checkpoint, so that folding goes on without reading the tape again (zlib).
CREATE TABLE fold_state (tape VARCHAR NOT NULL, part VARCHAR NOT NULL, bytes BLOB NOT NULL);

-- One row a RUN_STARTED: what a run was asked to do.
CREATE TABLE runs (
    tape VARCHAR NOT NULL,
    seq BIGINT NOT NULL,
    ts BIGINT NOT NULL,
    mode VARCHAR NOT NULL,      -- BACKTEST, PAPER, LIVE ...
    currency VARCHAR NOT NULL,
    timezone VARCHAR NOT NULL,
    cash BIGINT NOT NULL,       -- opening cash
    strategies VARCHAR NOT NULL, -- names, comma separated
    config VARCHAR NOT NULL     -- the whole configuration, canonical JSON
);

-- The account at the checkpoint.
CREATE TABLE accounts (
    tape VARCHAR PRIMARY KEY,
    seq BIGINT NOT NULL,
    ts BIGINT NOT NULL,
    cash BIGINT NOT NULL,
    reserved BIGINT NOT NULL,    -- set aside for working orders
    short_hold BIGINT NOT NULL,  -- collateral of short positions
    realized BIGINT NOT NULL,    -- before fees
    fees BIGINT NOT NULL,
    dividends BIGINT NOT NULL,
    paid_in BIGINT NOT NULL,     -- opening cash and later payments
    open_orders BIGINT NOT NULL,
    trading_state VARCHAR NOT NULL
);

-- What strategies asked for.
CREATE TABLE signals (
    tape VARCHAR NOT NULL,
    seq BIGINT NOT NULL,
    ts BIGINT NOT NULL,
    cause BIGINT NOT NULL,      -- seq of the bar or fill that led to it
    strategy VARCHAR,
    symbol VARCHAR,
    side VARCHAR,               -- BUY, SELL or CANCEL
    order_type VARCHAR,
    tif VARCHAR,
    qty BIGINT,
    px BIGINT,                  -- limit price, 0 for none
    trigger_px BIGINT,          -- stop price, 0 for none
    ref BIGINT,                 -- CANCEL: order_id of the working order, 0 for all of them
    strength DOUBLE
);

-- One row an order, as it stands at the checkpoint; an order that risk denied has status DENIED.
CREATE TABLE orders (
    tape VARCHAR NOT NULL,
    order_id BIGINT NOT NULL,   -- seq of its ORDER_SUBMITTED or ORDER_DENIED
    signal_seq BIGINT NOT NULL, -- its signal
    strategy VARCHAR,
    symbol VARCHAR,
    side VARCHAR,               -- BUY or SELL
    order_type VARCHAR,
    tif VARCHAR,
    qty BIGINT,                 -- restated by splits, as px and trigger_px are
    px BIGINT,                  -- limit price, 0 for none
    trigger_px BIGINT,          -- stop price, 0 for none
    status VARCHAR,             -- the words of kernel.codes.Status
    cum_qty BIGINT,             -- filled
    leaves_qty BIGINT,          -- not filled; works only while the status says so
    filled_value BIGINT,        -- sum over fills of qty * px
    fees BIGINT,                -- sum over fills
    avg_fill_px BIGINT,         -- filled_value / cum_qty, rounded half up; NULL before the first fill
    reason VARCHAR,             -- of the last event, NULL for none: the words of kernel.codes.Reason
    reason_text VARCHAR,        -- the venue's own words where the tape has them
    submitted_ts BIGINT NOT NULL,
    last_ts BIGINT NOT NULL,    -- of its last event
    last_seq BIGINT NOT NULL
);

-- Fills that were accepted; a refused one is an anomaly.
CREATE TABLE fills (
    tape VARCHAR NOT NULL,
    seq BIGINT NOT NULL,
    ts BIGINT NOT NULL,
    order_id BIGINT NOT NULL,
    strategy VARCHAR,
    symbol VARCHAR,
    side VARCHAR,               -- BUY or SELL
    qty BIGINT,
    px BIGINT,
    fee BIGINT,
    realized BIGINT,            -- by this fill, before its fee
    position_qty BIGINT,        -- of the strategy in the instrument, after it; negative is short
    position_cost BIGINT,       -- what that cost, signed, average method
    cash BIGINT                 -- of the account, after it
);

-- One row a strategy x instrument that ever traded.
CREATE TABLE positions (
    tape VARCHAR NOT NULL,
    strategy VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    qty BIGINT NOT NULL,        -- negative is short
    cost BIGINT NOT NULL,       -- what the open quantity cost, signed, average method
    realized BIGINT NOT NULL,   -- before fees
    fees BIGINT NOT NULL,
    dividends BIGINT NOT NULL,
    mark BIGINT,                -- last close, NULL when flat or when the bars are not on this tape
    last_fill_seq BIGINT NOT NULL,
    last_fill_ts BIGINT NOT NULL,
    PRIMARY KEY (tape, strategy, symbol)
);

-- Round trips: flat to flat, per strategy x instrument. A fill that flips closes one and opens the next; its fee is
-- divided by quantity, rounded toward zero for the new trade, the rest to the old one. Quantities are in shares as of
-- the last split.
CREATE TABLE trades (
    tape VARCHAR NOT NULL,
    strategy VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    side VARCHAR NOT NULL,      -- LONG or SHORT
    opened_seq BIGINT NOT NULL,
    opened_ts BIGINT NOT NULL,
    closed_seq BIGINT,          -- NULL while open
    closed_ts BIGINT,
    max_qty BIGINT NOT NULL,    -- the largest position held, positive
    entry_qty BIGINT NOT NULL,  -- all that was added, and what was taken off
    entry_value BIGINT NOT NULL, -- sum of qty * px
    exit_qty BIGINT NOT NULL,
    exit_value BIGINT NOT NULL,
    entry_px BIGINT,            -- value / qty, rounded half up
    exit_px BIGINT,             -- NULL before the first exit
    realized BIGINT NOT NULL,   -- before fees
    fees BIGINT NOT NULL,
    pnl BIGINT NOT NULL         -- realized - fees; dividends are the position's, not the trade's
);

-- The recorded points of the equity curve.
CREATE TABLE equity (
    tape VARCHAR NOT NULL,
    seq BIGINT NOT NULL,
    ts BIGINT NOT NULL,
    equity BIGINT NOT NULL,     -- cash + market_value
    cash BIGINT NOT NULL,
    market_value BIGINT NOT NULL,
    realized BIGINT NOT NULL,   -- before fees
    unrealized BIGINT NOT NULL,
    fees BIGINT NOT NULL,
    dividends BIGINT NOT NULL,
    peak BIGINT NOT NULL,       -- highest equity at a slice end so far
    drawdown BIGINT NOT NULL,   -- peak - equity, never negative
    max_drawdown BIGINT NOT NULL,   -- deepest fall from a peak at any slice end so far
    max_drawdown_share DOUBLE NOT NULL, -- largest fall as a share of its peak so far: often another fall
    exposure BIGINT NOT NULL    -- sum of |position value|
);

-- Strategies that stopped by themselves.
CREATE TABLE faults (
    tape VARCHAR NOT NULL,
    seq BIGINT NOT NULL,
    ts BIGINT NOT NULL,
    strategy VARCHAR,
    symbol VARCHAR,
    hook VARCHAR,               -- on_bar or on_fill
    reason VARCHAR,
    text VARCHAR
);

-- Reports and corporate actions that were refused at the door.
CREATE TABLE anomalies (
    tape VARCHAR NOT NULL,
    seq BIGINT NOT NULL,
    ts BIGINT NOT NULL,
    cause BIGINT NOT NULL,      -- seq of the refused event
    strategy VARCHAR,
    symbol VARCHAR,
    order_id BIGINT,
    reason VARCHAR,
    text VARCHAR
);

CREATE VIEW v_orders AS
SELECT tape, order_id, strategy, symbol, side, order_type, tif, status, qty, cum_qty, leaves_qty,
       nullif(px, 0)::DECIMAL(34) * 0.0001 AS limit_price,
       nullif(trigger_px, 0)::DECIMAL(34) * 0.0001 AS trigger_price,
       avg_fill_px::DECIMAL(34) * 0.0001 AS average_fill_price,
       fees::DECIMAL(34) * 0.0001 AS fees,
       reason, reason_text,
       make_timestamp_ns(submitted_ts) AS submitted_at, make_timestamp_ns(last_ts) AS last_at
FROM orders;

CREATE VIEW v_signals AS
SELECT tape, seq, make_timestamp_ns(ts) AS happened_at, strategy, symbol, side, order_type, tif, qty,
       nullif(px, 0)::DECIMAL(34) * 0.0001 AS limit_price,
       nullif(trigger_px, 0)::DECIMAL(34) * 0.0001 AS trigger_price,
       strength, cause
FROM signals;

CREATE VIEW v_fills AS
SELECT tape, seq, make_timestamp_ns(ts) AS happened_at, order_id, strategy, symbol, side, qty,
       px::DECIMAL(34) * 0.0001 AS price,
       fee::DECIMAL(34) * 0.0001 AS fee,
       realized::DECIMAL(34) * 0.0001 AS realized,
       position_qty,
       cash::DECIMAL(34) * 0.0001 AS cash
FROM fills;

CREATE VIEW v_positions AS
SELECT tape, strategy, symbol, qty,
       cost::DECIMAL(34) * 0.0001 AS cost,
       mark::DECIMAL(34) * 0.0001 AS mark,
       (qty::DECIMAL(34) * mark - cost) * 0.0001 AS unrealized,
       realized::DECIMAL(34) * 0.0001 AS realized,
       fees::DECIMAL(34) * 0.0001 AS fees,
       dividends::DECIMAL(34) * 0.0001 AS dividends,
       make_timestamp_ns(last_fill_ts) AS last_fill_at
FROM positions;

CREATE VIEW v_trades AS
SELECT tape, strategy, symbol, side, max_qty AS qty,
       make_timestamp_ns(opened_ts) AS opened_at, make_timestamp_ns(closed_ts) AS closed_at,
       entry_px::DECIMAL(34) * 0.0001 AS entry_price,
       exit_px::DECIMAL(34) * 0.0001 AS exit_price,
       realized::DECIMAL(34) * 0.0001 AS realized,
       fees::DECIMAL(34) * 0.0001 AS fees,
       pnl::DECIMAL(34) * 0.0001 AS pnl,
       opened_seq, closed_seq
FROM trades;

CREATE VIEW v_equity AS
SELECT tape, seq, make_timestamp_ns(ts) AS happened_at,
       equity::DECIMAL(34) * 0.0001 AS equity,
       cash::DECIMAL(34) * 0.0001 AS cash,
       market_value::DECIMAL(34) * 0.0001 AS market_value,
       realized::DECIMAL(34) * 0.0001 AS realized,
       unrealized::DECIMAL(34) * 0.0001 AS unrealized,
       fees::DECIMAL(34) * 0.0001 AS fees,
       dividends::DECIMAL(34) * 0.0001 AS dividends,
       peak::DECIMAL(34) * 0.0001 AS peak,
       drawdown::DECIMAL(34) * 0.0001 AS drawdown,
       max_drawdown::DECIMAL(34) * 0.0001 AS max_drawdown,
       max_drawdown_share,
       exposure::DECIMAL(34) * 0.0001 AS exposure
FROM equity;
