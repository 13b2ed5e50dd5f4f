CREATE TRIGGER gamification_definitions_never_change BEFORE UPDATE ON gamification_definitions
BEGIN SELECT RAISE(ABORT, 'definitions are kept as they were'); END;

CREATE TRIGGER gamification_definitions_never_go BEFORE DELETE ON gamification_definitions
BEGIN SELECT RAISE(ABORT, 'definitions are kept as they were'); END;
