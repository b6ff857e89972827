-- The catalog of Holdfast. docs/catalog.md tells the model; this file is never edited once released.
-- Words in `text` columns are checked by the one program that writes them; names of files are bytea: byte order, any byte.

-- One row: who this installation is, and the fencing number of its Directors.
CREATE TABLE installation (
    one         boolean PRIMARY KEY DEFAULT true CHECK (one),
    id          uuid NOT NULL,
    term        bigint NOT NULL DEFAULT 0,
    created_at  timestamptz NOT NULL DEFAULT now()
);
INSERT INTO installation (id) VALUES (gen_random_uuid());

-- Who may talk to us.
CREATE TABLE daemon (
    id           uuid PRIMARY KEY,
    role         text NOT NULL CHECK (role IN ('director', 'storage', 'file')),
    name         text NOT NULL,
    host         text NOT NULL DEFAULT '',
    system       text NOT NULL DEFAULT '',
    version      text NOT NULL DEFAULT '',
    addresses    text[] NOT NULL DEFAULT '{}',
    privileged   boolean NOT NULL DEFAULT false,
    own_folders  bytea[] NOT NULL DEFAULT '{}',
    enrolled_at  timestamptz NOT NULL,
    last_seen_at timestamptz,
    revoked_at   timestamptz
);
CREATE UNIQUE INDEX daemon_name ON daemon (role, name) WHERE revoked_at IS NULL;

CREATE TABLE certificate (
    serial      bytea PRIMARY KEY,
    daemon      uuid NOT NULL REFERENCES daemon ON DELETE CASCADE,
    issued_at   timestamptz NOT NULL,
    not_after   timestamptz NOT NULL,
    revoked_at  timestamptz
);
CREATE INDEX certificate_daemon ON certificate (daemon);
CREATE INDEX certificate_revoked ON certificate (not_after) WHERE revoked_at IS NOT NULL;

CREATE TABLE enrol_token (
    sha256      bytea PRIMARY KEY CHECK (octet_length(sha256) = 32),
    role        text NOT NULL CHECK (role IN ('storage', 'file')),
    name        text NOT NULL,
    created_at  timestamptz NOT NULL,
    created_by  text NOT NULL,
    expires_at  timestamptz NOT NULL,
    used_at     timestamptz
);

CREATE TABLE api_user (
    name        text PRIMARY KEY,
    role        text NOT NULL,
    password    text NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL,
    disabled_at timestamptz
);

CREATE TABLE api_token (
    sha256       bytea PRIMARY KEY CHECK (octet_length(sha256) = 32),
    api_user     text NOT NULL REFERENCES api_user ON DELETE CASCADE,
    label        text NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    last_used_at timestamptz
);

-- The snapshots of one (job, client). `head` is the newest published number: what is above it does not exist for readers.
CREATE TABLE series (
    id           integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid         uuid NOT NULL UNIQUE,
    job          text NOT NULL,
    client_id    uuid NOT NULL,
    client       text NOT NULL,
    head         integer NOT NULL DEFAULT 0,
    next_number  integer NOT NULL DEFAULT 1,
    next_dir     integer NOT NULL DEFAULT 2,
    lease_job_id bigint,
    lease_number integer,
    created_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (job, client_id),
    CHECK ((lease_job_id IS NULL) = (lease_number IS NULL)),
    CHECK (head < next_number)
);

-- One execution of a job: the queue, the present and the history.
CREATE TABLE run (
    job_id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job             text NOT NULL,
    client          text NOT NULL,
    client_id       uuid,
    kind            text NOT NULL,
    level           text,
    level_reason    text NOT NULL DEFAULT '',
    state           text NOT NULL CHECK (state IN
        ('queued', 'waiting', 'running', 'committing', 'ok', 'warnings', 'error', 'canceled', 'incomplete')),
    waiting         text NOT NULL DEFAULT '',
    priority        integer NOT NULL,
    origin          text NOT NULL,
    origin_name     text NOT NULL DEFAULT '',
    created_at      timestamptz NOT NULL,
    scheduled_at    timestamptz NOT NULL,
    started_at      timestamptz,
    ended_at        timestamptz,
    entries            bigint NOT NULL DEFAULT 0,
    files              bigint NOT NULL DEFAULT 0,
    directories        bigint NOT NULL DEFAULT 0,
    protected_bytes    bigint NOT NULL DEFAULT 0,
    read_bytes         bigint NOT NULL DEFAULT 0,
    sent_bytes         bigint NOT NULL DEFAULT 0,
    stored_bytes       bigint NOT NULL DEFAULT 0,
    files_read         bigint NOT NULL DEFAULT 0,
    new_entries        bigint NOT NULL DEFAULT 0,
    changed_entries    bigint NOT NULL DEFAULT 0,
    removed_entries    bigint NOT NULL DEFAULT 0,
    unsaved            bigint NOT NULL DEFAULT 0,
    vanished           bigint NOT NULL DEFAULT 0,
    changed_while_read bigint NOT NULL DEFAULT 0,
    pool            text NOT NULL DEFAULT '',
    storage         uuid,
    series          integer REFERENCES series,
    number          integer,
    base            bytea,
    snapshot        bytea,
    checkpoint      bytea,
    fileset         text NOT NULL DEFAULT '',
    outcome         text NOT NULL DEFAULT '',
    parameters      jsonb NOT NULL DEFAULT '{}',
    log_lines       integer NOT NULL DEFAULT 0
);
CREATE INDEX run_unfinished ON run (job_id) WHERE state IN ('queued', 'waiting', 'running', 'committing');
CREATE INDEX run_job ON run (job, job_id);
CREATE INDEX run_client ON run (client, job_id);
CREATE INDEX run_series ON run (series, number);
CREATE INDEX run_snapshot ON run (snapshot) WHERE snapshot IS NOT NULL;

CREATE TABLE run_log (
    job_id   bigint NOT NULL REFERENCES run ON DELETE CASCADE,
    seq      integer NOT NULL,
    at       timestamptz NOT NULL,
    severity smallint NOT NULL,
    line     text NOT NULL,
    PRIMARY KEY (job_id, seq)
);

CREATE TABLE pool (
    name        text PRIMARY KEY,
    storage     text NOT NULL,
    keep        text NOT NULL DEFAULT '',
    updated_at  timestamptz NOT NULL
);

-- What a run stored. `fileset` is the text it was taken with; times are the Director's.
CREATE TABLE snapshot (
    id          bytea PRIMARY KEY CHECK (octet_length(id) = 32),
    series      integer NOT NULL REFERENCES series ON DELETE CASCADE,
    number      integer NOT NULL,
    job_id      bigint NOT NULL,
    root        bytea NOT NULL CHECK (octet_length(root) = 32),
    root_entry  bytea NOT NULL DEFAULT '',
    level       text NOT NULL,
    level_reason text NOT NULL DEFAULT '',
    base        bytea,
    started_at  timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    entries            bigint NOT NULL DEFAULT 0,
    files              bigint NOT NULL DEFAULT 0,
    directories        bigint NOT NULL DEFAULT 0,
    protected_bytes    bigint NOT NULL DEFAULT 0,
    read_bytes         bigint NOT NULL DEFAULT 0,
    sent_bytes         bigint NOT NULL DEFAULT 0,
    stored_bytes       bigint NOT NULL DEFAULT 0,
    files_read         bigint NOT NULL DEFAULT 0,
    new_entries        bigint NOT NULL DEFAULT 0,
    changed_entries    bigint NOT NULL DEFAULT 0,
    removed_entries    bigint NOT NULL DEFAULT 0,
    unsaved            bigint NOT NULL DEFAULT 0,
    vanished           bigint NOT NULL DEFAULT 0,
    changed_while_read bigint NOT NULL DEFAULT 0,
    fileset     text NOT NULL,
    keep_until  timestamptz,
    state       text NOT NULL CHECK (state IN ('good', 'broken', 'released')),
    state_reason text NOT NULL DEFAULT '',
    UNIQUE (series, number)
);
CREATE INDEX snapshot_job_id ON snapshot (job_id);
CREATE INDEX snapshot_keep_until ON snapshot (keep_until) WHERE state <> 'released' AND keep_until IS NOT NULL;

-- Where a snapshot is: one row for each pool that holds it.
CREATE TABLE copy (
    snapshot    bytea NOT NULL REFERENCES snapshot ON DELETE CASCADE,
    pool        text NOT NULL,
    storage     uuid NOT NULL,
    state       text NOT NULL CHECK (state IN ('good', 'broken', 'released')),
    expires_at  timestamptz,
    made_at     timestamptz NOT NULL,
    PRIMARY KEY (snapshot, pool)
);
CREATE INDEX copy_storage ON copy (storage);

-- The pools that keep copies of a series; place 0 is the one its runs write to.
CREATE TABLE consumer (
    series      integer NOT NULL REFERENCES series ON DELETE CASCADE,
    place       smallint NOT NULL,
    pool        text NOT NULL,
    PRIMARY KEY (series, pool),
    UNIQUE (series, place)
);

CREATE TABLE storage_space (
    storage     uuid PRIMARY KEY,
    free_bytes  bigint NOT NULL,
    total_bytes bigint NOT NULL,
    chunks      bigint NOT NULL,
    reported_at timestamptz NOT NULL
);

CREATE TABLE volume (
    id          uuid PRIMARY KEY,
    name        text NOT NULL,
    storage     uuid NOT NULL,
    pool        text NOT NULL,
    holds       text NOT NULL,
    bytes       bigint NOT NULL,
    status      text NOT NULL,
    created_at  timestamptz NOT NULL,
    reported_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX volume_name ON volume (storage, name);

CREATE TABLE schedule_state (
    key         text PRIMARY KEY,
    last_fired  timestamptz,
    next_due    timestamptz
);

-- What people did: each row's hash covers the one before, so that a row cannot be changed or taken out unseen.
CREATE TABLE audit (
    seq         bigint PRIMARY KEY,
    at          timestamptz NOT NULL,
    actor       text NOT NULL,
    action      text NOT NULL,
    object      text NOT NULL,
    detail      text NOT NULL,
    hash        bytea NOT NULL CHECK (octet_length(hash) = 32)
);
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'audit rows are never changed'; END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    EXECUTE FUNCTION audit_is_append_only();

-- Directories of a series, interned: id 1 is `/`. Ids are counted up per series by its one writer.
CREATE TABLE dir (
    series      integer NOT NULL,
    id          integer NOT NULL,
    parent      integer NOT NULL,
    name        bytea NOT NULL,
    PRIMARY KEY (series, id),
    UNIQUE (series, parent, name)
);

-- File versions: `name` in `dir` has been like this since snapshot number `since`. kind 0 = it is gone.
-- Rows are added and, when no snapshot sees them any more, deleted; never updated. No column may be null: a null bitmap
-- would cost each row eight bytes; the order of columns leaves no padding.
CREATE TABLE entry (
    size        bigint NOT NULL,
    mtime_ns    bigint NOT NULL,
    series      integer NOT NULL,
    dir         integer NOT NULL,
    since       integer NOT NULL,
    mode        integer NOT NULL,
    uid         integer NOT NULL,
    gid         integer NOT NULL,
    kind        smallint NOT NULL,
    flags       smallint NOT NULL,
    name        bytea NOT NULL,
    PRIMARY KEY (series, dir, name, since)
) PARTITION BY HASH (series);
-- What one snapshot added; equal keys share index space (about 6 bytes a row).
CREATE INDEX entry_since ON entry (series, since);
DO $$ BEGIN
    FOR part IN 0..15 LOOP
        EXECUTE format('CREATE TABLE entry_%s PARTITION OF entry FOR VALUES WITH (MODULUS 16, REMAINDER %s)',
            lpad(part::text, 2, '0'), part);
    END LOOP;
END $$;
