CREATE TRIGGER points_transfers_never_change BEFORE UPDATE ON points_transfers
BEGIN SELECT RAISE(ABORT, 'records of transfers never change'); END;

CREATE TRIGGER points_transfers_never_go BEFORE DELETE ON points_transfers
BEGIN SELECT RAISE(ABORT, 'records of transfers never change'); END;

CREATE TRIGGER points_transfer_parts_never_change BEFORE UPDATE ON points_transfer_parts
BEGIN SELECT RAISE(ABORT, 'records of transfers never change'); END;

CREATE TRIGGER points_transfer_parts_never_go BEFORE DELETE ON points_transfer_parts
BEGIN SELECT RAISE(ABORT, 'records of transfers never change'); END;
