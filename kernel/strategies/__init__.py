"""Built-in strategies, each an example of the API; `onetape backtest --strategy NAME`."""
