SELECT loyalnest_protect('rfm_configs');

SELECT loyalnest_protect('rfm_schedules');

SELECT loyalnest_protect('rfm_runs');

SELECT loyalnest_partition('rfm_scores', 8);

SELECT loyalnest_protect('rfm_scores');

SELECT loyalnest_protect('rfm_cells');

SELECT loyalnest_partition('rfm_history', 8);

SELECT loyalnest_protect('rfm_history');
