CREATE TRIGGER admin_flag_history_never_changes BEFORE UPDATE ON admin_flag_history
BEGIN SELECT RAISE(ABORT, 'the history of flags never changes'); END;

CREATE TRIGGER admin_flag_history_never_goes BEFORE DELETE ON admin_flag_history
BEGIN SELECT RAISE(ABORT, 'the history of flags never changes'); END;
