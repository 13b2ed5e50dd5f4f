SELECT loyalnest_make_append_only('audit_entries');
