SELECT loyalnest_protect('access_roles');

SELECT loyalnest_protect('accounts');

SELECT loyalnest_protect('sessions');

SELECT loyalnest_protect('refresh_tokens');

SELECT loyalnest_protect('known_devices');

SELECT loyalnest_protect('login_attempts');

SELECT loyalnest_protect('captcha_uses');

SELECT loyalnest_protect('revocations');

SELECT loyalnest_protect('suspensions');

SELECT loyalnest_protect('api_keys');
