WITH token AS (
    SELECT api_user, last_used_at FROM api_token WHERE sha256 = $1 AND (expires_at IS NULL OR expires_at > $2)
), noted AS (
    UPDATE api_token SET last_used_at = $2
     WHERE sha256 = $1 AND EXISTS (SELECT 1 FROM token WHERE last_used_at IS NULL OR last_used_at < $2 - interval '1 minute')
)
SELECT u.* FROM token t JOIN api_user u ON u.name = t.api_user WHERE u.disabled_at IS NULL
