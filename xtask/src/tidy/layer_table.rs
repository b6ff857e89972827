//! The architecture as a table: who may know whom. ARCHITECTURE.md explains it in words.
//!
//! A new folder or file at the top of a crate's `src` gets its place here; a dependency that the
//! table forbids needs a reason in docs/decisions/ before it needs a line here.

/// One crate of the workspace.
pub struct Crate {
    /// Folder, and package name: `storage-daemon`.
    pub folder: &'static str,
    /// Crates of the workspace it may use, as written in code.
    pub uses: &'static [&'static str],
    /// Its modules in layers, the highest first. A module may use its own layer and all below.
    /// Empty: no order.
    pub layers: &'static [&'static [&'static str]],
}

/// Every crate of the workspace.
pub const CRATES: &[Crate] = &[
    Crate {
        folder: "common",
        uses: &[],
        layers: &[
            &["testing"],
            &["net", "config"],
            &["protocol", "api"],
            &["walk"],
            &["object"],
            &["job", "fileset", "crypto", "ticket", "level"],
            &[
                "clock",
                "durable",
                "shutdown",
                "telemetry",
                "budget",
                "slabs",
            ],
            &["ids", "name", "size", "time", "codec", "error", "problem"],
        ],
    },
    Crate {
        folder: "director",
        uses: &["common"],
        layers: &[
            &["daemon", "server", "app", "bin"],
            &["api", "web"],
            &["runs", "tasks"],
            &["catalog", "daemons", "notify", "authority"],
            &["policy"],
            &["config"],
        ],
    },
    Crate {
        folder: "storage-daemon",
        uses: &["common"],
        layers: &[
            &["daemon", "server", "app", "bin", "offline"],
            &["session"],
            &["store", "reclaim"],
            &["volume"],
            &["device"],
            &["format"],
            &["config"],
        ],
    },
    Crate {
        folder: "file-daemon",
        uses: &["common"],
        layers: &[
            &["daemon", "server", "app", "bin"],
            &["compare", "estimate"],
            &["backup", "restore"],
            &["scan"],
            &["attributes", "state", "sink"],
            &["select"],
            &["config", "runlog", "failure"],
        ],
    },
    Crate {
        folder: "console",
        uses: &["common"],
        layers: &[],
    },
    Crate {
        folder: "tests",
        uses: &[
            "common",
            "director",
            "storage_daemon",
            "file_daemon",
            "console",
        ],
        layers: &[],
    },
    Crate {
        folder: "xtask",
        uses: &[],
        layers: &[],
    },
];

/// Modules that decide and do nothing: no I/O, no async, no SQL, no time of day.
pub const PURE: &[&str] = &[
    "common::object",
    "common::walk",
    "common::protocol",
    "director::policy",
    "director::runs::machine",
    "storage_daemon::format",
    "storage_daemon::session::machine",
    "file_daemon::select",
];

/// What a pure module never names, as one or more neighbouring segments of a path.
pub const IMPURE: &[&str] = &[
    "tokio",
    "sqlx",
    "axum",
    "reqwest",
    "rustix",
    "nix",
    "tempfile",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "SystemTime::now",
    "Instant::now",
    "Utc::now",
    "Local::now",
    "Timestamp::now",
    "Zoned::now",
    "common::net",
    "common::clock",
    "common::durable",
    "common::shutdown",
    "common::telemetry",
];

/// An outside crate that belongs to a few modules only.
pub struct Owned {
    /// As written in code.
    pub name: &'static str,
    /// Modules that may name it.
    pub by: &'static [&'static str],
    /// Why.
    pub because: &'static str,
}

/// Outside crates with an owner.
pub const OWNED: &[Owned] = &[
    Owned {
        name: "sqlx",
        by: &["director::catalog", "tests"],
        because: "all SQL is in the catalog: one function per intent, in domain types",
    },
    Owned {
        name: "axum",
        by: &["director::api", "director::web"],
        because: "HTTP ends in api and web; below them nobody knows of requests",
    },
    Owned {
        name: "reqwest",
        by: &["console", "director::notify", "tests"],
        because: "only the console speaks HTTP outward, and webhooks",
    },
];

/// Modules of `common` that the console has no business with: it knows the HTTP API.
pub const NOT_FOR_CONSOLE: &[&str] = &[
    "common::object",
    "common::walk",
    "common::protocol",
    "common::crypto",
];
