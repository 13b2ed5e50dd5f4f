"""Reading CSV files of customers, orders and opening balances, row by row, without I/O."""
