-- What instruments' prices did, and the trades that were opened in each regime. Tapes folded in before are folded in again.

-- One row a REGIME_CHANGED: it holds from here to the next one of the instrument.
CREATE TABLE regimes (
    tape VARCHAR NOT NULL,
    seq BIGINT NOT NULL,
    ts BIGINT NOT NULL,
    symbol VARCHAR,
    regime VARCHAR NOT NULL,    -- TREND, RANGE or VOLATILE
    direction BIGINT NOT NULL,  -- 1 up, -1 down, 0 none yet
    before VARCHAR,             -- the regime until then, NULL where none was known
    adx BIGINT NOT NULL,        -- 1/100
    volatility BIGINT NOT NULL  -- percent of the usual
);

UPDATE checkpoint SET layout = 'before 0005';  -- no such layout: see 0003

CREATE VIEW v_regimes AS
SELECT tape, symbol, seq AS valid_from, lead(seq) OVER each_instrument AS valid_to,
       make_timestamp_ns(ts) AS happened_at, make_timestamp_ns(lead(ts) OVER each_instrument) AS until,
       regime, direction, before, adx::DECIMAL(34) * 0.01 AS adx, volatility
FROM regimes
WINDOW each_instrument AS (PARTITION BY tape, symbol ORDER BY seq);

-- A trade is opened by a fill; a regime that the bar of that fill brings comes after it, and is not the trade's.
CREATE VIEW v_trade_regimes AS
SELECT t.*, r.regime, r.direction
FROM v_trades t ASOF LEFT JOIN regimes r ON r.tape = t.tape AND r.symbol = t.symbol AND r.seq < t.opened_seq;
