-- The catalog's schema as the migrations leave it. Generated, for readers: see docs/catalog.md.

CREATE TABLE api_token (
    sha256 bytea NOT NULL,
    api_user text NOT NULL,
    label text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    last_used_at timestamp with time zone,
    PRIMARY KEY (sha256),
    FOREIGN KEY (api_user) REFERENCES api_user(name) ON DELETE CASCADE,
    CHECK ((octet_length(sha256) = 32))
);

CREATE TABLE api_user (
    name text NOT NULL,
    role text NOT NULL,
    password text NOT NULL DEFAULT ''::text,
    created_at timestamp with time zone NOT NULL,
    disabled_at timestamp with time zone,
    PRIMARY KEY (name)
);

CREATE TABLE audit (
    seq bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    object text NOT NULL,
    detail text NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (seq),
    CHECK ((octet_length(hash) = 32))
);

CREATE TABLE certificate (
    serial bytea NOT NULL,
    daemon uuid NOT NULL,
    issued_at timestamp with time zone NOT NULL,
    not_after timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    PRIMARY KEY (serial),
    FOREIGN KEY (daemon) REFERENCES daemon(id) ON DELETE CASCADE
);
CREATE INDEX certificate_daemon ON public.certificate USING btree (daemon);
CREATE INDEX certificate_revoked ON public.certificate USING btree (not_after) WHERE (revoked_at IS NOT NULL);

CREATE TABLE consumer (
    series integer NOT NULL,
    place smallint NOT NULL,
    pool text NOT NULL,
    UNIQUE (series, place),
    PRIMARY KEY (series, pool),
    FOREIGN KEY (series) REFERENCES series(id) ON DELETE CASCADE
);

CREATE TABLE copy (
    snapshot bytea NOT NULL,
    pool text NOT NULL,
    storage uuid NOT NULL,
    state text NOT NULL,
    expires_at timestamp with time zone,
    made_at timestamp with time zone NOT NULL,
    PRIMARY KEY (snapshot, pool),
    FOREIGN KEY (snapshot) REFERENCES snapshot(id) ON DELETE CASCADE,
    CHECK ((state = ANY (ARRAY['good'::text, 'broken'::text, 'released'::text])))
);
CREATE INDEX copy_storage ON public.copy USING btree (storage);

CREATE TABLE daemon (
    id uuid NOT NULL,
    role text NOT NULL,
    name text NOT NULL,
    host text NOT NULL DEFAULT ''::text,
    system text NOT NULL DEFAULT ''::text,
    version text NOT NULL DEFAULT ''::text,
    addresses text[] NOT NULL DEFAULT '{}'::text[],
    privileged boolean NOT NULL DEFAULT false,
    own_folders bytea[] NOT NULL DEFAULT '{}'::bytea[],
    enrolled_at timestamp with time zone NOT NULL,
    last_seen_at timestamp with time zone,
    revoked_at timestamp with time zone,
    PRIMARY KEY (id),
    CHECK ((role = ANY (ARRAY['director'::text, 'storage'::text, 'file'::text])))
);
CREATE UNIQUE INDEX daemon_name ON public.daemon USING btree (role, name) WHERE (revoked_at IS NULL);

CREATE TABLE dir (
    series integer NOT NULL,
    id integer NOT NULL,
    parent integer NOT NULL,
    name bytea NOT NULL,
    UNIQUE (series, parent, name),
    PRIMARY KEY (series, id)
);

CREATE TABLE enrol_token (
    sha256 bytea NOT NULL,
    role text NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    created_by text NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    PRIMARY KEY (sha256),
    CHECK ((role = ANY (ARRAY['storage'::text, 'file'::text]))),
    CHECK ((octet_length(sha256) = 32))
);

CREATE TABLE entry (
    size bigint NOT NULL,
    mtime_ns bigint NOT NULL,
    series integer NOT NULL,
    dir integer NOT NULL,
    since integer NOT NULL,
    mode integer NOT NULL,
    uid integer NOT NULL,
    gid integer NOT NULL,
    kind smallint NOT NULL,
    flags smallint NOT NULL,
    name bytea NOT NULL,
    PRIMARY KEY (series, dir, name, since)
) PARTITION BY HASH (series);
CREATE INDEX entry_since ON ONLY public.entry USING btree (series, since);

CREATE TABLE installation (
    one boolean NOT NULL DEFAULT true,
    id uuid NOT NULL,
    term bigint NOT NULL DEFAULT 0,
    created_at timestamp with time zone NOT NULL DEFAULT now(),
    PRIMARY KEY (one),
    CHECK (one)
);

CREATE TABLE pool (
    name text NOT NULL,
    storage text NOT NULL,
    keep text NOT NULL DEFAULT ''::text,
    updated_at timestamp with time zone NOT NULL,
    PRIMARY KEY (name)
);

CREATE TABLE run (
    job_id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    job text NOT NULL,
    client text NOT NULL,
    client_id uuid,
    kind text NOT NULL,
    level text,
    level_reason text NOT NULL DEFAULT ''::text,
    state text NOT NULL,
    waiting text NOT NULL DEFAULT ''::text,
    priority integer NOT NULL,
    origin text NOT NULL,
    origin_name text NOT NULL DEFAULT ''::text,
    created_at timestamp with time zone NOT NULL,
    scheduled_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    entries bigint NOT NULL DEFAULT 0,
    files bigint NOT NULL DEFAULT 0,
    directories bigint NOT NULL DEFAULT 0,
    protected_bytes bigint NOT NULL DEFAULT 0,
    read_bytes bigint NOT NULL DEFAULT 0,
    sent_bytes bigint NOT NULL DEFAULT 0,
    stored_bytes bigint NOT NULL DEFAULT 0,
    files_read bigint NOT NULL DEFAULT 0,
    new_entries bigint NOT NULL DEFAULT 0,
    changed_entries bigint NOT NULL DEFAULT 0,
    removed_entries bigint NOT NULL DEFAULT 0,
    unsaved bigint NOT NULL DEFAULT 0,
    vanished bigint NOT NULL DEFAULT 0,
    changed_while_read bigint NOT NULL DEFAULT 0,
    pool text NOT NULL DEFAULT ''::text,
    storage uuid,
    series integer,
    number integer,
    base bytea,
    snapshot bytea,
    checkpoint bytea,
    fileset text NOT NULL DEFAULT ''::text,
    outcome text NOT NULL DEFAULT ''::text,
    parameters jsonb NOT NULL DEFAULT '{}'::jsonb,
    log_lines integer NOT NULL DEFAULT 0,
    PRIMARY KEY (job_id),
    FOREIGN KEY (series) REFERENCES series(id),
    CHECK ((state = ANY (ARRAY['queued'::text, 'waiting'::text, 'running'::text, 'committing'::text, 'ok'::text, 'warnings'::text, 'error'::text, 'canceled'::text, 'incomplete'::text])))
);
CREATE INDEX run_client ON public.run USING btree (client, job_id);
CREATE INDEX run_job ON public.run USING btree (job, job_id);
CREATE INDEX run_series ON public.run USING btree (series, number);
CREATE INDEX run_snapshot ON public.run USING btree (snapshot) WHERE (snapshot IS NOT NULL);
CREATE INDEX run_unfinished ON public.run USING btree (job_id) WHERE (state = ANY (ARRAY['queued'::text, 'waiting'::text, 'running'::text, 'committing'::text]));

CREATE TABLE run_log (
    job_id bigint NOT NULL,
    seq integer NOT NULL,
    at timestamp with time zone NOT NULL,
    severity smallint NOT NULL,
    line text NOT NULL,
    PRIMARY KEY (job_id, seq),
    FOREIGN KEY (job_id) REFERENCES run(job_id) ON DELETE CASCADE
);

CREATE TABLE schedule_state (
    key text NOT NULL,
    last_fired timestamp with time zone,
    next_due timestamp with time zone,
    PRIMARY KEY (key)
);

CREATE TABLE series (
    id integer NOT NULL GENERATED ALWAYS AS IDENTITY,
    uuid uuid NOT NULL,
    job text NOT NULL,
    client_id uuid NOT NULL,
    client text NOT NULL,
    head integer NOT NULL DEFAULT 0,
    next_number integer NOT NULL DEFAULT 1,
    next_dir integer NOT NULL DEFAULT 2,
    lease_job_id bigint,
    lease_number integer,
    created_at timestamp with time zone NOT NULL DEFAULT now(),
    UNIQUE (job, client_id),
    UNIQUE (uuid),
    PRIMARY KEY (id),
    CHECK (((lease_job_id IS NULL) = (lease_number IS NULL))),
    CHECK ((head < next_number))
);

CREATE TABLE snapshot (
    id bytea NOT NULL,
    series integer NOT NULL,
    number integer NOT NULL,
    job_id bigint NOT NULL,
    root bytea NOT NULL,
    root_entry bytea NOT NULL DEFAULT '\x'::bytea,
    level text NOT NULL,
    level_reason text NOT NULL DEFAULT ''::text,
    base bytea,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone NOT NULL,
    entries bigint NOT NULL DEFAULT 0,
    files bigint NOT NULL DEFAULT 0,
    directories bigint NOT NULL DEFAULT 0,
    protected_bytes bigint NOT NULL DEFAULT 0,
    read_bytes bigint NOT NULL DEFAULT 0,
    sent_bytes bigint NOT NULL DEFAULT 0,
    stored_bytes bigint NOT NULL DEFAULT 0,
    files_read bigint NOT NULL DEFAULT 0,
    new_entries bigint NOT NULL DEFAULT 0,
    changed_entries bigint NOT NULL DEFAULT 0,
    removed_entries bigint NOT NULL DEFAULT 0,
    unsaved bigint NOT NULL DEFAULT 0,
    vanished bigint NOT NULL DEFAULT 0,
    changed_while_read bigint NOT NULL DEFAULT 0,
    fileset text NOT NULL,
    keep_until timestamp with time zone,
    state text NOT NULL,
    state_reason text NOT NULL DEFAULT ''::text,
    volumes text[] NOT NULL DEFAULT '{}'::text[],
    UNIQUE (series, number),
    PRIMARY KEY (id),
    FOREIGN KEY (series) REFERENCES series(id) ON DELETE CASCADE,
    CHECK ((octet_length(id) = 32)),
    CHECK ((octet_length(root) = 32)),
    CHECK ((state = ANY (ARRAY['good'::text, 'broken'::text, 'released'::text])))
);
CREATE INDEX snapshot_job_id ON public.snapshot USING btree (job_id);
CREATE INDEX snapshot_keep_until ON public.snapshot USING btree (keep_until) WHERE ((state <> 'released'::text) AND (keep_until IS NOT NULL));

CREATE TABLE storage_space (
    storage uuid NOT NULL,
    free_bytes bigint NOT NULL,
    total_bytes bigint NOT NULL,
    chunks bigint NOT NULL,
    reported_at timestamp with time zone NOT NULL,
    PRIMARY KEY (storage)
);

CREATE TABLE volume (
    id uuid NOT NULL,
    name text NOT NULL,
    storage uuid NOT NULL,
    pool text NOT NULL,
    holds text NOT NULL,
    bytes bigint NOT NULL,
    status text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    reported_at timestamp with time zone NOT NULL,
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX volume_name ON public.volume USING btree (storage, name);
