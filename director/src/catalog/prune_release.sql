WITH copies AS (
    UPDATE copy SET state = 'released' WHERE snapshot = $1
)
UPDATE snapshot SET state = 'released', state_reason = $2 WHERE id = $1
