CREATE TRIGGER points_transactions_never_change BEFORE UPDATE ON points_transactions
BEGIN SELECT RAISE(ABORT, 'ledger entries never change'); END;

CREATE TRIGGER points_transactions_never_go BEFORE DELETE ON points_transactions
BEGIN SELECT RAISE(ABORT, 'ledger entries never change'); END;

CREATE TRIGGER points_postings_never_change BEFORE UPDATE ON points_postings
BEGIN SELECT RAISE(ABORT, 'ledger entries never change'); END;

CREATE TRIGGER points_postings_never_go BEFORE DELETE ON points_postings
BEGIN SELECT RAISE(ABORT, 'ledger entries never change'); END;

CREATE TRIGGER points_lot_movements_never_change BEFORE UPDATE ON points_lot_movements
BEGIN SELECT RAISE(ABORT, 'ledger entries never change'); END;

CREATE TRIGGER points_lot_movements_never_go BEFORE DELETE ON points_lot_movements
BEGIN SELECT RAISE(ABORT, 'ledger entries never change'); END;
