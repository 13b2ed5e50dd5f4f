SELECT loyalnest_make_append_only('gamification_definitions');

SELECT loyalnest_protect('gamification_facts');

SELECT loyalnest_protect('gamification_awards');

SELECT loyalnest_protect('gamification_skips');

SELECT loyalnest_protect('gamification_scores');

SELECT loyalnest_protect('gamification_standings');

SELECT loyalnest_protect('gamification_closed_cycles');

SELECT loyalnest_protect('gamification_unlisted');
