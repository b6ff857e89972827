-- The volumes that the run of a snapshot wrote to, by name, as the snapshot on the volume says.
ALTER TABLE snapshot ADD COLUMN volumes text[] NOT NULL DEFAULT '{}';
