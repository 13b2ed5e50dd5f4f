SELECT loyalnest_protect('admin_flags');

SELECT loyalnest_make_append_only('admin_flag_history');
