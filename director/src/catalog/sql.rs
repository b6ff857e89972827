//! Pieces of SQL that several statements share, as macros so that each statement stays one `&'static str`.

/// `SELECT` of a series' columns.
macro_rules! series_columns {
    () => {
        "id, uuid, job, client_id, client, head, next_number, lease_job_id, lease_number"
    };
}

/// `SET` of the count columns from the array parameter given.
macro_rules! set_counts {
    ($p:literal) => {
        concat!(
            "entries = (",
            $p,
            ")[1], files = (",
            $p,
            ")[2], directories = (",
            $p,
            ")[3], protected_bytes = (",
            $p,
            ")[4], read_bytes = (",
            $p,
            ")[5], sent_bytes = (",
            $p,
            ")[6], stored_bytes = (",
            $p,
            ")[7], files_read = (",
            $p,
            ")[8], new_entries = (",
            $p,
            ")[9], changed_entries = (",
            $p,
            ")[10], removed_entries = (",
            $p,
            ")[11], unsaved = (",
            $p,
            ")[12], vanished = (",
            $p,
            ")[13], changed_while_read = (",
            $p,
            ")[14]"
        )
    };
}

pub(super) use {series_columns, set_counts};
