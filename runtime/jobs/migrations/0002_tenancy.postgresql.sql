SELECT loyalnest_protect('jobs');

SELECT loyalnest_protect('job_schedule_runs');
